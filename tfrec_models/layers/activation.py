"""Activations by name, function or "swish_layernorm"."""

import keras
import tensorflow as tf

from tfrec_models.layers.swish_layer_norm import SwishLayerNorm

_HIDE_NAN = {"hard_shrink", "soft_shrink", "threshold"}
_NO_ACTIVATIONS = {"deserialize", "get", "serialize"}
# Activations that give NaN for NaN, to which nothing need be added. No set: a function of the
# user's may have no hash.
KEEP_NAN = [
    getattr(keras.activations, name)
    for name in dir(keras.activations)
    if name[0] != "_" and name not in _HIDE_NAN | _NO_ACTIVATIONS
] + [tf.nn.relu, tf.nn.relu6, tf.nn.silu, tf.nn.gelu, tf.sigmoid, tf.tanh]


def get_activation(activation, width, dtype):
    """Returns what to call for `activation` after a layer of `width` columns.

    Raises:
        ValueError: on an unknown activation.
    """
    if isinstance(activation, str) and activation == "swish_layernorm":
        return SwishLayerNorm(width, dtype=dtype)
    advice = (
        "Use a Keras activation such as 'relu', 'sigmoid' or 'tanh', a function of a tensor, or "
        "'swish_layernorm'."
    )
    if isinstance(activation, keras.layers.Layer):
        raise ValueError(f"activation cannot be a layer, received {activation!r}. {advice}")
    try:
        return keras.activations.get(activation)
    except (ValueError, TypeError) as error:
        raise ValueError(f"Unknown activation {activation!r}. {advice}") from error


def activate(activation, values):
    """Returns `activation(values)` with NaN where `values` has it.

    TensorFlow fuses ReLU and ReLU6 into the matrix product and bias before them, and oneDNN's
    kernel for that gives 0 for NaN: a step would train on, `predict` answer, and no loss show it.
    It does not look beyond a change of shape, which costs nothing. Keras's shrinking functions
    give 0 for NaN themselves, as a function of the user's may, such as ReLU with a threshold.
    """
    apart = tf.squeeze(tf.expand_dims(values, 0), 0)
    outputs = tf.convert_to_tensor(activation(apart))
    is_layer = isinstance(activation, keras.layers.Layer)
    if is_layer or activation in KEEP_NAN or not outputs.shape.is_compatible_with(apart.shape):
        return outputs
    return tf.where(tf.math.is_nan(apart), tf.cast(apart, outputs.dtype), outputs)


def serialize_activation(activation):
    """Returns the config of what `get_activation` accepts."""
    if activation is None or isinstance(activation, str):
        return activation
    if isinstance(activation, keras.layers.Layer):
        return "swish_layernorm"
    return keras.activations.serialize(activation)
