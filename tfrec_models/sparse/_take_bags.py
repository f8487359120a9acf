"""Bags of ids taken in another order."""

import tensorflow as tf


def bag_of_id(row_splits, num_ids):
    """The bag of each id, int32.

    A running sum of bag starts; `tf.repeat` and `value_rowids` lay out a mask of the longest bag
    for every bag, which costs five times as much when one feature's bags are long.

    Args:
        row_splits: int tensor (bags + 1,).
        num_ids: int32 scalar.
    """
    starts = tf.cast(row_splits[1:-1], tf.int32)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(starts), starts, num_ids + 1)
    return tf.cumsum(counts)[:-1]


def take_bags(row_splits, order, parts):
    """Returns some bags in an order of their own, as `tf.gather` of a RaggedTensor does.

    That is one operation, which has no kernel for GPUs.

    Args:
        row_splits: int tensor (bags + 1,).
        order: int tensor, the number of each bag that is taken.
        parts: list of tensors with one number for each id, or None.

    Returns:
        The row splits of the bags taken, and the list of their parts.
    """
    starts = tf.gather(row_splits, order)
    lengths = tf.gather(row_splits, order + 1) - starts
    splits = tf.concat([tf.zeros([1], lengths.dtype), tf.cumsum(lengths)], 0)
    num_ids = splits[-1]
    moved_by = tf.gather(starts - splits[:-1], bag_of_id(splits, tf.cast(num_ids, tf.int32)))
    places = tf.range(num_ids) + moved_by
    return splits, [None if part is None else tf.gather(part, places) for part in parts]
