"""The labels, scores and weights of one batch, checked."""

import numpy as np
import tensorflow as tf

from tfrec_models._checks.assertions import after, checked


def examples(metric, y_true, y_pred, sample_weight):
    """Returns labels, scores and weights of shape `(batch,)`, refused unless they are sound.

    Labels and weights are float64, scores float64 or float32.

    Args:
        metric: `keras.metrics.Metric` with `from_logits`; it is named in messages.
        y_true, y_pred, sample_weight: as in `metric.update_state`.

    Raises:
        ValueError: if shapes or values do not fit, where they are known; in a graph,
            `tf.errors.InvalidArgumentError` with the same message when it runs.
    """
    who = type(metric).__name__
    scores = _column(who, "y_pred", tf.convert_to_tensor(y_pred))
    labels = tf.cast(_column(who, "y_true", tf.convert_to_tensor(y_true)), tf.float64)
    if scores.dtype != tf.float64:
        scores = tf.cast(scores, tf.float32)
    labels = _of_equal_length(who, "y_true", labels, scores)
    weights = _weights(who, sample_weight, scores)

    is_label = tf.logical_or(tf.equal(labels, 0), tf.equal(labels, 1))
    if metric.from_logits:
        sound, wanted = tf.reduce_all(tf.equal(scores, scores)), "logits and none of them NaN"
    else:
        # False for NaN too.
        sound = tf.reduce_all(tf.logical_and(scores >= 0, scores <= 1))
        wanted = "probabilities in [0, 1]; for a model that gives logits, set from_logits=True"
    return _once_sound(
        (labels, scores, weights),
        (
            tf.reduce_all(is_label),
            f"{who}: y_true must be 0 or 1, received other labels; turn them into clicks and no "
            "clicks, for example by y > threshold. The smallest and the largest:",
            lambda: (tf.reduce_min(labels), tf.reduce_max(labels)),
        ),
        (
            sound,
            f"{who}: y_pred must be {wanted}, received NaN in this many of so many, then the "
            "smallest and the largest of the others:",
            lambda: (
                tf.reduce_sum(tf.cast(tf.math.is_nan(scores), tf.int32)),
                tf.size(scores),
                tf.reduce_min(scores),
                tf.reduce_max(_without_nan(scores)),
            ),
        ),
    )


def _once_sound(tensors, *rules):
    """Returns `tensors` once all rules hold, as `checked` does for one.

    What a message shows is computed in the branch that refuses: three metrics in `compile` would
    compute it three times at every step.

    Args:
        tensors: tuple of tensors.
        *rules: tuples of a scalar bool tensor, the message, and a function that returns the tensors
            to be shown.
    """
    open_rules = []
    for holds, message, details in rules:
        known = tf.get_static_value(holds)
        if known is None:
            open_rules.append((holds, message, details))
        elif not known:
            checked(tensors, holds, message, *details())
    if not open_rules:
        return tensors

    def refuse():
        checks = [tf.debugging.Assert(holds, [text, *shown()]) for holds, text, shown in open_rules]
        with tf.control_dependencies(checks):
            return tf.constant(False)

    all_hold = tf.reduce_all(tf.stack([holds for holds, _, _ in open_rules]))
    return after([tf.cond(all_hold, lambda: tf.constant(True), refuse)], tensors)


def _column(who, name, tensor):
    """Reshapes `(batch,)` or `(batch, 1)` to `(batch,)`."""
    shape = tensor.shape
    if shape.rank not in (None, 1, 2) or (shape.rank == 2 and shape[1] not in (None, 1)):
        raise ValueError(
            f"{who}: {name} must have shape (batch,) or (batch, 1), received {tuple(shape)}; for "
            "several outputs give each a metric of its own, over its column."
        )
    column = tf.reshape(tensor, [-1])
    if shape.rank is None or (shape.rank == 2 and shape[1] is None):
        column = checked(
            column,
            tf.equal(tf.size(tensor), tf.shape(tensor)[0]),
            f"{who}: {name} must have shape (batch,) or (batch, 1), received:",
            tf.shape(tensor),
        )
    return column


def _of_equal_length(who, name, column, scores):
    if column.shape[0] is not None and column.shape[0] == scores.shape[0]:
        return column
    sizes = tf.size(column), tf.size(scores)
    message = f"{who}: {name} must have one number for each of y_pred, received sizes:"
    return checked(column, tf.equal(*sizes), message, *sizes)


def _weights(who, sample_weight, scores):
    if sample_weight is None:
        return tf.ones(tf.shape(scores), tf.float64)
    weights = tf.cast(tf.convert_to_tensor(sample_weight), tf.float64)
    if weights.shape.rank == 0:
        weights = tf.fill(tf.shape(scores), weights)
    weights = _column(who, "sample_weight", weights)
    weights = _of_equal_length(who, "sample_weight", weights, scores)
    return checked(
        weights,
        tf.reduce_all(tf.logical_and(weights >= 0, weights < np.inf)),
        f"{who}: sample_weight must be finite and at least 0. The smallest and the largest "
        "received:",
        tf.reduce_min(weights),
        tf.reduce_max(weights),
    )


def _without_nan(scores):
    return tf.boolean_mask(scores, tf.logical_not(tf.math.is_nan(scores)))
