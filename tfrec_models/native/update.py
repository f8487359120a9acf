"""One operation for a sparse update: sums each row's gradient and applies an optimizer's rule."""

import tensorflow as tf

from tfrec_models._rows.unique_rows import UniqueRows
from tfrec_models.native.bag_gradient import BagGradient, transpose_bags
from tfrec_models.native.library import kernels
from tfrec_models.native.lookup import DTYPES


def update_rows(variable, slots, gradient, rule, settings, learning_rate):
    """Updates the rows of a variable that a sparse gradient names, each once.

    Args:
        variable: `tf.Variable` that the kernels serve.
        slots: list of float32 `tf.Variable`, those of the rule.
        gradient: `tf.IndexedSlices`, with or without repeats.
        rule: str, one of the operation's.
        settings: list of float, the rule's constants.
        learning_rate: scalar.
    """
    rows, starts, places, scales, upstream = _parts(gradient)
    kernels().tfrec_update_rows(
        table=variable.handle,
        slots=[slot.handle for slot in slots],
        rows=rows,
        starts=starts,
        places=places,
        scales=scales,
        upstream=upstream,
        learning_rate=tf.cast(learning_rate, tf.float32),
        T=variable.dtype,
        rule=rule,
        settings=settings,
    )


def _parts(gradient):
    """Distinct rows, and where each one's gradients lie."""
    if isinstance(gradient, BagGradient):
        parts = [gradient.starts], [gradient.places], gradient.scales, gradient.upstream
        return gradient.indices, *parts
    upstream = gradient.values
    if upstream.dtype not in DTYPES:
        upstream = tf.cast(upstream, tf.float32)
    if isinstance(gradient, UniqueRows):
        return gradient.indices, [], [], [], upstream
    # Every row of the gradient is a bag of one.
    rows, starts, places, _ = transpose_bags(gradient.indices, [], [])
    return rows, [starts], [places], [], upstream
