"""How variables are made and unwrapped."""

import contextlib

import keras
import tensorflow as tf


def made_once():
    """Within it, variables are created eagerly, even while a function is traced.

    Keras builds what was not built yet while it traces the first step. TensorFlow then makes a
    variable as part of that function, and keeps its initial value twice more as long as the
    function lives: three times the memory of a table. Strategies make variables
    in their own way, which must see the trace.
    """
    return contextlib.nullcontext() if tf.distribute.has_strategy() else tf.init_scope()


def tf_variable(variable):
    """The `tf.Variable` of a `keras.Variable`."""
    return variable.value if isinstance(variable, keras.Variable) else variable
