"""A function of tensors compiled with XLA, forward and backward."""

import tensorflow as tf

from tfrec_models.execution.execution import current


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
        return (self._program if current().uses_xla else self.function)(*args)

    @property
    def trace_count(self):
        """How often the function was traced."""
        return self._program.experimental_get_tracing_count()
