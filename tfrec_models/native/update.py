"""One operation for a sparse update: sums each row's gradient and applies an optimizer's rule."""

import tensorflow as tf

from tfrec_models._rows.unique_rows import UniqueRows
from tfrec_models.native.bag_gradient import BagGradient, transpose_bags
from tfrec_models.native.library import kernels
from tfrec_models.native.lookup import DTYPES


def update_rows(variable, slots, gradient, rule, settings, learning_rate, l2=0.0, decay=0.0):
    """Updates the rows of a variable that a sparse gradient names, each once.

    Args:
        variable: `tf.Variable` that the kernels serve.
        slots: list of float32 `tf.Variable`, those of the rule.
        gradient: `tf.IndexedSlices`, with or without repeats.
        rule: str, one of the operation's.
        settings: list of float, the rule's constants.
        learning_rate: scalar.
        l2: float, what times a row is added to its gradient.
        decay: scalar, what times a row is taken from it first.
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
        decay=tf.cast(decay, tf.float32),
        T=variable.dtype,
        rule=rule,
        settings=settings,
        l2=l2,
    )


def with_distinct_rows(gradient):
    """Returns a sparse gradient as one whose `indices` are distinct, for `update_rows`."""
    if isinstance(gradient, UniqueRows):
        return gradient
    # Every row of the gradient is a bag of one.
    transposed = transpose_bags(gradient.indices, [], [])
    return BagGradient(*transposed, _upstream(gradient), gradient.dense_shape)


def _upstream(gradient):
    values = gradient.values
    return values if values.dtype in DTYPES else tf.cast(values, tf.float32)


def _parts(gradient):
    """Distinct rows, and where each one's gradients lie."""
    gradient = with_distinct_rows(gradient)
    if isinstance(gradient, BagGradient):
        upstream = _before_widening(gradient.upstream)
        return gradient.indices, [gradient.starts], [gradient.places], gradient.scales, upstream
    return gradient.indices, [], [], [], _upstream(gradient)


def _before_widening(tensor):
    """The bfloat16 tensor that a float32 one of a graph is a copy of, else the tensor itself.

    In mixed precision the gradient of a lookup is such a copy, of all rows. The operation reads
    either, with the same bits, and TensorFlow leaves out a copy that is not used.
    """
    if not tf.is_symbolic_tensor(tensor):
        return tensor
    op = tensor.op
    if op.control_inputs:
        # What the copy waits for, such as a check of the gradient, the update waits for.
        return tensor
    if op.type == "Cast" and op.inputs[0].dtype == tf.bfloat16:
        return op.inputs[0]
    if op.type == "Reshape":
        before = _before_widening(op.inputs[0])
        if before.dtype != tensor.dtype:
            return tf.reshape(before, op.inputs[1])
    return tensor
