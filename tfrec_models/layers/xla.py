"""The one way layers of this package are compiled with XLA, and its switch."""

import contextlib

import tensorflow as tf

_enabled = True


def is_xla_enabled():
    """Returns whether layers compile their computation with XLA."""
    return _enabled


def set_xla_enabled(enabled):
    """Switches XLA for the interaction layers on (the default) or off.

    Takes effect where a layer is called or traced after it; a `tf.function` that was traced before,
    such as the train function of a compiled model, keeps what it was traced with.

    Args:
        enabled: bool.

    Example:

    >>> import tfrec_models
    >>> tfrec_models.set_xla_enabled(False)
    >>> tfrec_models.set_xla_enabled(True)
    """
    global _enabled
    _enabled = bool(enabled)


@contextlib.contextmanager
def xla_disabled():
    """Within it, layers run without XLA: for exports, and for finding faults."""
    before = is_xla_enabled()
    set_xla_enabled(False)
    try:
        yield
    finally:
        set_xla_enabled(before)


class Compiled:
    """A function of tensors that runs as one XLA program, forward and backward.

    XLA compiles anew for every shape it meets, so a layer compiles what has fixed shapes but for
    the batch size, and hands in all variables as tensors: no lookup, no ragged input.

    The program is held in here because Keras and TensorFlow would otherwise find a `tf.function`
    among a layer's attributes and write it, XLA and all, into every SavedModel.

    Args:
        function: function of tensors.
    """

    def __init__(self, function):
        self.function = function
        self._program = tf.function(
            function, jit_compile=True, reduce_retracing=True, autograph=False
        )

    def __call__(self, *args):
        return (self._program if _enabled else self.function)(*args)

    @property
    def trace_count(self):
        """How often the function was traced."""
        return self._program.experimental_get_tracing_count()
