"""Weights of positives and negatives by score, in a partition of the scores into slots."""

from typing import NamedTuple

import tensorflow as tf

NO_KEY = tf.int32.max
LOWEST = tf.int32.min
NUM_HOLES = 1024


class Bins(NamedTuple):
    """A partition of the keys and what lies in its slots.

    `edges` are keys in ascending order, then `NO_KEY`s, at least one. The slots are the gaps below
    each edge and the edges themselves. So keys in one slot are equal, or lie in one gap.

    Attributes:
        edges: int32 `(size,)`.
        weights: float64 `(2, 2 * size)`: of negatives and of positives, in the order of the keys:
            the gap below an edge, the edge, the next gap.
        lowest, highest: int32 `(size,)`, of the keys in each gap; NO_KEY and LOWEST if it is empty.
    """

    edges: tf.Tensor
    weights: tf.Tensor
    lowest: tf.Tensor
    highest: tf.Tensor


class Keyed(NamedTuple):
    """Examples: int32 `keys`, and float64 `weights` `(2, batch)` as negative and as positive."""

    keys: tf.Tensor
    weights: tf.Tensor


def sortable(scores):
    """Returns int32 keys in the order of float32 scores, equal where these are equal."""
    bits = tf.bitcast(tf.cast(scores, tf.float32), tf.int32)
    # Minus zero has the lowest of all bits, alone.
    bits = tf.where(tf.equal(bits, LOWEST), tf.zeros_like(bits), bits)
    # Of negative floats the larger bits are the smaller number.
    return tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, NO_KEY), bits)


def place(edges, keys):
    """Returns the first edge that is not below each key, and 1 where it equals the key, else 0."""
    edge = tf.searchsorted(edges, keys)
    return edge, tf.cast(tf.equal(tf.gather(edges, edge), keys), tf.int32)


def with_weights(weights, edge, is_edge, added):
    """Returns the weights of bins after `added`, `(2, batch)`, in slots that `place` gave."""
    slot = 2 * edge + is_edge
    slot = tf.concat([slot, slot + weights.shape[1]], axis=0)[:, tf.newaxis]
    flat = tf.tensor_scatter_nd_add(tf.reshape(weights, [-1]), slot, tf.reshape(added, [-1]))
    return tf.reshape(flat, weights.shape)


def with_examples(weights, edge, is_edge, is_positive, added):
    """Returns what `with_weights` does for examples of one class each, and the pairs they add.

    The pairs in gaps are not counted again: a gap whose weights grow from n and p by a and b gets
    a (2 n + a), b (2 p + b) and a p + b n + a b more, which are sums over its new examples of their
    weight times what was there before and what is there after all of them. So only slots of the
    batch are read.

    Args:
        weights: as in `Bins`.
        edge, is_edge: int32 `(batch,)`, of `place`.
        is_positive: int32 `(batch,)`, 1 for positives and 0 for negatives.
        added: float64 `(batch,)`, the weight of each example.

    Returns:
        The new weights, and float64 `(3,)`, by how much `pairs_in_gaps` has grown.
    """
    num_slots = weights.shape[1]
    slot = 2 * edge + is_edge
    own = is_positive * num_slots + slot
    # Pairs with its own class, then with the other.
    read = tf.concat([own, (1 - is_positive) * num_slots + slot], axis=0)
    flat = tf.reshape(weights, [-1])
    new = tf.tensor_scatter_nd_add(flat, own[:, tf.newaxis], added)
    beside = tf.reshape(tf.gather(flat, read) + tf.gather(new, read), [2, -1])
    in_gaps = tf.where(is_edge > 0, tf.zeros_like(added), added)
    same, other = tf.unstack(beside * in_gaps)
    positive = tf.cast(is_positive, tf.float64)
    grown = tf.stack([(1 - positive) * same, positive * same, other / 2])
    return tf.reshape(new, weights.shape), tf.reduce_sum(grown, axis=1)


def with_ranges(lowest, highest, edge, is_edge, keys):
    """Returns the ranges of the keys in gaps after those were added that `place` put there."""
    # An edge has no range: the highest key for the lowest of a gap, and the reverse, change none.
    low = tf.where(is_edge > 0, NO_KEY, keys)
    high = tf.where(is_edge > 0, LOWEST, keys)
    gap = edge[:, tf.newaxis]
    return (
        tf.tensor_scatter_nd_min(lowest, gap, low),
        tf.tensor_scatter_nd_max(highest, gap, high),
    )


def by_slot(weights):
    """Returns the weights of bins in gaps and at edges, each `(2, size)`."""
    return tf.unstack(tf.reshape(weights, (2, -1, 2)), axis=2)


def contents(bins):
    """Returns bins as examples: half the weight of a gap at each end of its range."""
    in_gaps, at_edges = by_slot(bins.weights)
    in_gaps /= 2
    keys = tf.concat([bins.edges, bins.lowest, bins.highest], axis=0)
    return Keyed(keys, tf.concat([at_edges, in_gaps, in_gaps], axis=1))


def joined(*parts):
    """Returns the examples of several parts."""
    keys, weights = zip(*parts, strict=True)
    return Keyed(tf.concat(keys, axis=0), tf.concat(weights, axis=1))


def partition(examples, size):
    """Returns bins of examples, exact if they have fewer different keys than `size`.

    Otherwise no gap has more than 1 / (size - 2 * NUM_HOLES - 3) of the examples, each class
    counting half.
    """
    held = tf.reduce_any(examples.weights > 0, axis=0)
    keys = tf.boolean_mask(examples.keys, held)
    order = tf.argsort(keys)
    keys = tf.gather(keys, order)
    weights = tf.gather(tf.boolean_mask(examples.weights, held, axis=1), order, axis=1)

    is_new = tf.concat([[True], keys[1:] > keys[:-1]], axis=0)[: tf.size(keys)]
    number = tf.cumsum(tf.cast(is_new, tf.int32)) - 1
    keys = tf.boolean_mask(keys, is_new)
    num_keys = tf.size(keys)
    weights = [tf.math.unsorted_segment_sum(row, number, num_keys) for row in tf.unstack(weights)]

    share = sum(tf.math.divide_no_nan(row, tf.reduce_sum(row)) for row in weights)
    share = tf.cumsum(share) / tf.maximum(tf.reduce_sum(share), 1)
    quantile = tf.cast(share * (size - 2 * NUM_HOLES - 3), tf.int32)
    passes = tf.concat([[True], quantile[1:] > quantile[:-1]], axis=0)[:num_keys]
    is_edge = tf.logical_or(passes, _beside_holes(keys))
    is_edge = tf.logical_or(is_edge, num_keys < size)

    edge = tf.cumsum(tf.cast(is_edge, tf.int32), exclusive=True)
    slot = 2 * edge + tf.cast(is_edge, tf.int32)
    summed = tf.stack([tf.math.unsorted_segment_sum(row, slot, 2 * size) for row in weights])
    # Each of these has one more row, for the keys that are not asked for.
    edges = tf.math.unsorted_segment_min(keys, tf.where(is_edge, edge, size), size + 1)[:size]
    gap = tf.where(is_edge, size, edge)
    lowest = tf.math.unsorted_segment_min(keys, gap, size + 1)[:size]
    highest = tf.math.unsorted_segment_max(keys, gap, size + 1)[:size]
    return Bins(edges, summed, lowest, highest)


def _beside_holes(keys):
    """Whether each key is the first or the last, or beside one of the largest holes.

    Scores that come in the order of their distance from one score close in on a hole. A gap over
    it would hold scores of both sides, and their order with all that come later would be lost.
    """
    num_keys = tf.size(keys)
    wide = tf.cast(keys, tf.float64)
    holes = tf.math.top_k(wide[1:] - wide[:-1], tf.clip_by_value(num_keys - 1, 0, NUM_HOLES))[1]
    number = tf.range(num_keys)
    beside = tf.concat([holes, holes + 1], axis=0)
    beside = tf.scatter_nd(beside[:, tf.newaxis], tf.ones_like(beside), [num_keys]) > 0
    return tf.logical_or(beside, tf.logical_or(tf.equal(number, 0), tf.equal(number, num_keys - 1)))


def pairs_in_gaps(weights):
    """Returns the weights of pairs in one gap: two negatives, two positives, one of each."""
    negative, positive = tf.unstack(by_slot(weights)[0])
    return tf.stack([tf.tensordot(*pair, 1) for pair in _pairs(negative, positive)])


def all_pairs(totals):
    """Returns the weights of all pairs: two negatives, two positives, one of each.

    Args:
        totals: float64 `(2,)`, the weight of the negatives and that of the positives.
    """
    return tf.stack([a * b for a, b in _pairs(*tf.unstack(totals))])


def _pairs(negative, positive):
    return [(negative, negative), (positive, positive), (negative, positive)]


def ordered_pairs(weights):
    """Returns the weight of pairs with the positive above; pairs in one slot count half."""
    negatives, positives = tf.unstack(weights)
    up_to = tf.cumsum(negatives)
    return tf.tensordot(positives, up_to, 1) - tf.tensordot(positives, negatives, 1) / 2
