"""Refusals of packed bags: one comparison where they fit, the feature's name where they do not."""

import tensorflow as tf

from tfrec_models._checks.assertions import after, refuse_among
from tfrec_models.serving.request_checks import refuse_infinite_weights, refuse_length_range


def checked_bags(features, names, num_examples, values, lengths, weights, rows="examples"):
    """Returns values, lengths and any weights, refused unless they are bags of every feature.

    What a request costs that fits is a few reductions and one branch, however many features there
    are; messages are made in the branch that refuses.

    Args:
        features: list of F str.
        names: dict from "values", "lengths" and "weights" to what the inputs are called.
        num_examples: int32 scalar, B.
        values: int64 tensor `(N,)`, all ids, feature by feature.
        lengths: int64 tensor `(F B,)`, feature by feature.
        weights: float32 tensor `(N,)`, or None.
        rows: str, what the examples are called in messages.

    Returns:
        A list of values, lengths and, where there are any, weights.
    """
    # A client may send another rank than the signature has, which no size tells.
    values, lengths = tf.ensure_shape(values, [None]), tf.ensure_shape(lengths, [None])
    num_values = tf.size(values, tf.int64)
    valid = [
        tf.size(lengths) == len(features) * num_examples,
        tf.reduce_all(lengths >= 0),
        # Enough lengths above the number of values overflow the sum.
        tf.reduce_max(lengths) <= num_values,
        tf.reduce_sum(lengths) == num_values,
    ]
    if weights is not None:
        weights = tf.ensure_shape(weights, [None])
        valid += [
            tf.size(weights, tf.int64) == num_values,
            tf.reduce_all(tf.math.is_finite(weights)),
        ]

    def refuse():
        return _refuse(features, names, num_examples, values, lengths, weights, rows)

    check = tf.cond(tf.reduce_all(tf.stack(valid)), lambda: tf.constant(True), refuse)
    return after([check], [values, lengths] if weights is None else [values, lengths, weights])


def _refuse(features, names, num_examples, values, lengths, weights, rows):
    """The first check that fails, of those that `checked_bags` makes in one."""
    num_values = tf.size(values, tf.int64)
    checks = [
        refuse_among(
            tf.stack([tf.size(lengths) == len(features) * num_examples]),
            f"Input {names['lengths']} must have one entry for each of the {rows}, feature by "
            f"feature: for {{}} {rows} of {len(features)} features {{}} entries, received {{}}. "
            "The features are {}.",
            [num_examples],
            [len(features) * num_examples],
            [tf.size(lengths)],
            [str(features)],
        )
    ]
    by_feature = tf.reshape(after(checks, lengths), [len(features), num_examples])
    counts = tf.reduce_sum(by_feature, axis=1)
    with tf.control_dependencies(checks):
        most = tf.fill([len(features)], num_values)
        lengths_names = [names["lengths"]] * len(features)
        checks.append(refuse_length_range(features, lengths_names, by_feature, most))
    with tf.control_dependencies(checks):
        total = tf.reduce_sum(lengths)
        checks.append(
            refuse_among(
                tf.stack([total == num_values]),
                f"Input {names['lengths']} must sum to the number of ids in {names['values']}, "
                "received a sum of {} and {} ids. By feature the lengths of {} sum to {}.",
                [total],
                [num_values],
                [str(features)],
                [tf.strings.format("{}", counts, summarize=-1)],
            )
        )
    if weights is not None:
        with tf.control_dependencies(checks):
            checks.append(
                refuse_among(
                    tf.stack([tf.size(weights, tf.int64) == num_values]),
                    f"Input {names['weights']} must have as many weights as ids, received {{}} "
                    "weights and {} ids.",
                    [tf.size(weights)],
                    [num_values],
                )
            )
        with tf.control_dependencies(checks):
            checks.append(refuse_infinite_weights(features, weights, counts))
    return after(checks, tf.constant(False))
