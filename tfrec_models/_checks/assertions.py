"""Checks of tensors: at once where values are known, in the graph where not."""

import tensorflow as tf


def checked(tensors, condition, message, *data):
    """Returns `tensors` once `condition` holds: known at once, or asserted in the graph.

    A graph runs what does not depend on each other in any order, so what is computed from the
    input must be computed from what is returned here: else the operation that stumbles over the
    bad input may be the first to fail, with a message of its own.

    Args:
        tensors: tensor, `tf.RaggedTensor` or structure of them that the condition is about.
        condition: scalar bool `tf.Tensor`.
        message: str, what came, what was expected and how to fix it.
        *data: tensors shown after the message.

    Raises:
        ValueError: if the condition is already known to fail.
    """
    known = tf.get_static_value(condition)
    if known is None:
        with tf.control_dependencies([tf.debugging.Assert(condition, [message, *data])]):
            return tf.nest.map_structure(tf.identity, tensors)
    if not known:
        shown = ", ".join(str(tf.get_static_value(item)) for item in data)
        raise ValueError(f"{message} {shown}".strip())
    return tensors
