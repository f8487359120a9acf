"""Refusals inside the graph: what a server answers to inputs that do not fit."""

import tensorflow as tf

from tfrec_models._checks.assertions import after, refuse_among, refuse_unless


def checked_dense(dense, columns, name="dense_features"):
    """Returns dense features `(B, columns)`, refused where they have another width or no number.

    Args:
        dense: float32 tensor.
        columns: int.
        name: str, the input.
    """
    rows = tf.shape(dense)[0]
    # Not tf.shape(dense)[1], which the graph believes to know from the signature.
    fits = tf.size(dense) == rows * columns

    def refuse():
        width = refuse_among(
            tf.stack([fits]),
            f"{name} must have shape (batch, {columns}), received {{}} numbers for {{}} examples.",
            [tf.size(dense)],
            [rows],
        )
        by_example = tf.reshape(after([width], dense), [rows, columns])
        finite = tf.reduce_all(tf.math.is_finite(by_example), axis=1)
        numbers = refuse_among(
            finite,
            f"{name} must be finite numbers, received NaN or infinity in example {{}}. Replace "
            "missing values before the request, as before training.",
            tf.range(tf.size(finite)),
        )
        return after([width, numbers], tf.constant(False))

    valid = fits & tf.reduce_all(tf.math.is_finite(dense))
    check = tf.cond(valid, lambda: tf.constant(True), refuse)
    return tf.reshape(after([check], dense), [-1, columns])


def check_batch_sizes(names, sizes, batch_size, other="dense_features"):
    """Refuses features with another number of examples than the dense features.

    Args:
        names: list of n str or string tensor `(n,)`, inputs.
        sizes: list of n int32 scalars, or a tensor of them.
        batch_size: int32 scalar.
        other: str, what has `batch_size` examples.
    """
    sizes = tf.convert_to_tensor(sizes)
    return refuse_unless(
        sizes == batch_size,
        f"Input {{}} must have one entry for each of the examples in {other}, received {{}} "
        "entries and {} examples.",
        names,
        sizes,
        tf.fill(tf.shape(sizes), batch_size),
    )


def check_lengths(features, names, lengths, counts):
    """Refuses lengths that are negative or do not sum to the number of values.

    Args:
        features: list of F str.
        names: list of F str or string tensor `(F,)`, the inputs with the lengths.
        lengths: int64 tensor of shape `(F, B)`.
        counts: int64 tensor of shape `(F,)`, the numbers of values.
    """
    return _check_bags(features, names, lengths, counts, None, None)


def check_weighted(features, names, lengths, counts, weights, weight_counts):
    """As `check_lengths`; refuses weights too that are not one finite number for each id.

    Args:
        features, names, lengths, counts: as in `check_lengths`.
        weights: float32 tensor, those of all features, one after the other.
        weight_counts: int64 tensor of shape `(F,)`, the numbers of weights.
    """
    return _check_bags(features, names, lengths, counts, weights, weight_counts)


def _check_bags(features, names, lengths, counts, weights, weight_counts):
    sums = tf.reduce_sum(lengths, axis=1)
    valid = [
        tf.reduce_all(lengths >= 0),
        # Enough lengths above the number of values overflow the sum.
        tf.reduce_all(lengths <= counts[:, tf.newaxis]),
        tf.reduce_all(sums == counts),
    ]
    if weights is not None:
        valid += [
            tf.reduce_all(weight_counts == counts),
            tf.reduce_all(tf.math.is_finite(weights)),
        ]

    def refuse():
        checks = [refuse_length_range(features, names, lengths, counts)]
        with tf.control_dependencies(checks):
            checks.append(
                refuse_among(
                    sums == counts,
                    "Feature {}: {} must sum to the number of values, received a sum of {} and {} "
                    "values.",
                    features,
                    names,
                    sums,
                    counts,
                )
            )
        if weights is not None:
            with tf.control_dependencies(checks):
                checks.append(
                    refuse_among(
                        weight_counts == counts,
                        "Feature {} must have as many weights as ids, received {} weights and {} "
                        "ids.",
                        features,
                        weight_counts,
                        counts,
                    )
                )
            with tf.control_dependencies(checks):
                checks.append(refuse_infinite_weights(features, weights, counts))
        return after(checks, tf.constant(False))

    return tf.cond(tf.reduce_all(tf.stack(valid)), lambda: tf.constant(True), refuse)


def refuse_length_range(features, names, lengths, counts):
    """Refuses lengths that are negative or above the number of values, as `refuse_among`.

    The second by itself: enough of them overflow the sum.

    Args:
        features, names, lengths, counts: as in `check_lengths`.
    """
    lowest, highest = tf.reduce_min(lengths, axis=1), tf.reduce_max(lengths, axis=1)
    return refuse_among(
        (lowest >= 0) & (highest <= counts),
        "Feature {}: each of {} must lie between 0 and the number of values {}, received "
        "lengths from {} to {}.",
        features,
        names,
        counts,
        lowest,
        highest,
    )


def refuse_infinite_weights(features, weights, counts):
    """Refuses weights that are NaN or infinite, as `refuse_among`.

    Args:
        features: list of F str.
        weights: float32 tensor `(N,)`, those of all features, one after the other.
        counts: int64 tensor of shape `(F,)`, the numbers of weights.
    """
    ends = tf.cumsum(counts)
    feature_of_id = tf.searchsorted(ends, tf.range(tf.size(weights, tf.int64)), side="right")
    return refuse_among(
        tf.math.is_finite(weights),
        "Feature {} must have finite weights, received NaN or infinity.",
        tf.gather(tf.constant(features), feature_of_id),
    )


def check_weight_shapes(features, weights, ids):
    """Refuses weights of another shape than their ids.

    Args:
        features: list of F str.
        weights, ids: lists of F tensors of shape `(B, L)`.
    """
    shapes = [
        (tf.shape(weight)[:2], tf.shape(row)[:2]) for weight, row in zip(weights, ids, strict=True)
    ]
    valid = [
        tf.reduce_all(ours == theirs) & (tf.size(weight) == tf.size(row))
        for weight, row, (ours, theirs) in zip(weights, ids, shapes, strict=True)
    ]
    return refuse_unless(
        tf.stack(valid),
        "Feature {} must have as many weights as ids, received weights of shape {} and ids of "
        "shape {}.",
        features,
        tf.stack([ours for ours, _ in shapes]),
        tf.stack([theirs for _, theirs in shapes]),
    )


def check_weight_lengths(features, ids, weights):
    """Refuses examples with another number of weights than ids.

    Args:
        features: list of F str.
        ids: int64 tensor of shape `(F, B)`, the numbers of ids.
        weights: int64 tensor of shape `(F, B)`, the numbers of weights.
    """
    features = tf.repeat(tf.constant(features), tf.shape(ids)[1])
    examples = tf.tile(tf.range(tf.shape(ids)[1]), [tf.shape(ids)[0]])
    ids, weights = tf.reshape(ids, [-1]), tf.reshape(weights, [-1])
    return refuse_unless(
        ids == weights,
        "Feature {} must have as many weights as ids, received {} weights and {} ids in example "
        "{}.",
        features,
        weights,
        ids,
        examples,
    )


def check_presence(examples, features, names, lengths):
    """Refuses serialized `tf.Example`s that lack a feature.

    The parser takes a missing feature for an empty bag, so that a misspelt name would give wrong
    answers in silence. An empty bag is a feature that is there, without ids. Only examples with an
    empty bag are looked into.

    Args:
        examples: string tensor of shape `(B,)`.
        features: list of F str.
        names: list of F str, what the features are called in the examples.
        lengths: int64 tensor of shape `(F, B)`, the numbers of ids.
    """
    suspects = tf.reshape(tf.where(tf.reduce_any(lengths == 0, axis=0)), [-1])

    def look():
        keys = _keys(tf.gather(examples, suspects))
        is_there = tf.reduce_any(keys[:, tf.newaxis] == tf.constant(names)[:, tf.newaxis], axis=2)
        shape = tf.shape(is_there)
        return refuse_unless(
            tf.reshape(is_there, [-1]),
            "Feature {} is missing: example {} has no feature called {}. For an empty bag add it "
            "without values.",
            tf.tile(tf.constant(features), shape[:1]),
            tf.repeat(suspects, shape[1]),
            tf.tile(tf.constant(names), shape[:1]),
        )

    # DecodeProto refuses to decode nothing.
    return tf.cond(tf.size(suspects) > 0, look, lambda: tf.constant(True))


def _keys(examples):
    """The names of the features in serialized `tf.Example`s: `(B, names)`, padded with ""."""
    _, (features,) = _decode(examples, "Example", "features")
    _, (entries,) = _decode(tf.reshape(features, [-1]), "Features", "feature")
    _, (keys,) = _decode(entries, "Features.FeatureEntry", "key")
    return keys[:, :, 0]


def _decode(messages, kind, field):
    return tf.io.decode_proto(messages, f"tensorflow.{kind}", [field], [tf.string])
