"""Refusals inside the graph: what a server answers to inputs that do not fit."""

import tensorflow as tf

from tfrec_models._checks.assertions import after, refuse_unless


def checked_dense(dense, columns, name="dense_features"):
    """Returns dense features `(B, columns)`, refused where they have another width or no number.

    Args:
        dense: float32 tensor.
        columns: int.
        name: str, the input.
    """
    rows = tf.shape(dense)[0]
    # Not tf.shape(dense)[1], which the graph believes to know from the signature.
    width = refuse_unless(
        tf.stack([tf.size(dense) == rows * columns]),
        f"{name} must have shape (batch, {columns}), received {{}} numbers for {{}} examples.",
        [tf.size(dense)],
        [rows],
    )
    dense = tf.reshape(after([width], dense), [-1, columns])
    finite = tf.reduce_all(tf.math.is_finite(dense), axis=1)
    numbers = refuse_unless(
        finite,
        f"{name} must be finite numbers, received NaN or infinity in example {{}}. Replace "
        "missing values before the request, as before training.",
        tf.range(tf.size(finite)),
    )
    return after([numbers], dense)


def check_batch_sizes(names, sizes, batch_size, other="dense_features"):
    """Refuses features with another number of examples than the dense features.

    Args:
        names: list of n str, inputs.
        sizes: list of n int32 scalars.
        batch_size: int32 scalar.
        other: str, what has `batch_size` examples.
    """
    sizes = tf.stack(sizes)
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
        names: list of F str, the inputs with the lengths.
        lengths: int64 tensor of shape `(F, B)`.
        counts: int64 tensor of shape `(F,)`, the numbers of values.
    """
    sums = tf.reduce_sum(lengths, axis=1)
    return [
        check_length_range(features, names, lengths, counts),
        refuse_unless(
            sums == counts,
            "Feature {}: {} must sum to the number of values, received a sum of {} and {} values.",
            features,
            names,
            sums,
            counts,
        ),
    ]


def check_length_range(features, names, lengths, counts):
    """Refuses lengths that are negative or above the number of values.

    The second by itself: enough of them overflow the sum.

    Args:
        features, names, lengths, counts: as in `check_lengths`.
    """
    lowest, highest = tf.reduce_min(lengths, axis=1), tf.reduce_max(lengths, axis=1)
    has_examples = tf.shape(lengths)[1] > 0
    in_range = (lowest >= 0) & (highest <= counts)
    return refuse_unless(
        in_range | ~has_examples,
        "Feature {}: each of {} must lie between 0 and the number of values {}, received "
        "lengths from {} to {}.",
        features,
        names,
        counts,
        lowest,
        highest,
    )


def check_weights(features, weights, counts):
    """Refuses weights that are not one for each id.

    Args:
        features: list of F str.
        weights: list of F tensors.
        counts: int64 tensor of shape `(F,)`, the numbers of ids.
    """
    sizes = tf.stack([tf.size(weight, tf.int64) for weight in weights])
    return refuse_unless(
        sizes == counts,
        "Feature {} must have as many weights as ids, received {} weights and {} ids.",
        features,
        sizes,
        counts,
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


def check_finite_weights(features, weights):
    """Refuses weights that are NaN or infinite.

    Args:
        features: list of F str.
        weights: list of F tensors.
    """
    fine = [tf.reduce_all(tf.math.is_finite(weight)) for weight in weights]
    return refuse_unless(
        tf.stack(fine),
        "Feature {} must have finite weights, received NaN or infinity.",
        features,
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
