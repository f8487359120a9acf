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
        message: str, what was received, what was expected and how to fix it.
        *data: tensors shown after the message.

    Raises:
        ValueError: if the condition is already known to fail.
    """
    known = tf.get_static_value(condition)
    if known is None:
        return after([tf.debugging.Assert(condition, [message, *data])], tensors)
    if not known:
        shown = ", ".join(str(tf.get_static_value(item)) for item in data)
        raise ValueError(f"{message} {shown}".strip())
    return tensors


def after(checks, tensors):
    """Returns `tensors`, which nothing reads before all `checks` have passed.

    Kernels may run in any order that the graph's edges allow, so a check that nothing waits for
    could come after the kernel it protects.

    Args:
        checks: list of what `refuse_unless` returned, or of assertions.
        tensors: a tensor or a structure of tensors.
    """
    with tf.control_dependencies(checks):
        return tf.nest.map_structure(tf.identity, tensors)


def refuse_unless(valid, message, *details):
    """Returns a check that fails on the first False in `valid`.

    The message is made in the branch that fails: an input that is valid costs one comparison.

    Args:
        valid: bool tensor of shape `(n,)`.
        message: str with a `{}` for each of `details`.
        *details: tensors of shape `(n,)`, or lists of n str.
    """

    def refuse():
        with tf.control_dependencies([refuse_among(valid, message, *details)]):
            return tf.constant(False)

    return tf.cond(tf.reduce_all(valid), lambda: tf.constant(True), refuse)


def refuse_among(valid, message, *details):
    """As `refuse_unless`, without a branch: for the branch where something is refused already.

    A branch is two functions to trace and to optimize; one for all checks of an input is enough.

    Args:
        valid, message, *details: as `refuse_unless` takes them.

    Returns:
        The assertion.
    """
    shown = [tf.convert_to_tensor(detail) for detail in details]
    entries = valid
    if not valid.shape[0]:
        # There may be none, and so no first.
        entries = tf.concat([valid, [True]], 0)
        shown = [tf.concat([detail, tf.zeros([1], detail.dtype)], 0) for detail in shown]
    first = tf.argmax(~entries)
    text = tf.strings.format(message, [tf.gather(detail, first) for detail in shown])
    return tf.debugging.Assert(tf.reduce_all(valid), [text], summarize=1)
