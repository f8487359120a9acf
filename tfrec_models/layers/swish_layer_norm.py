"""Swish gated by a layer normalization."""

import numbers
from collections.abc import Sequence
from typing import Any

import keras

from tfrec_models._checks.arguments import check_sizes


@keras.saving.register_keras_serializable("tfrec_models")
class SwishLayerNorm(keras.layers.Layer):
    """Swish with a layer normalization inside the gate.

        y = x * sigmoid(LayerNorm(x))

    Args:
        input_dims: int or list of int, the trailing dimensions to normalize over.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(..., *input_dims)`.

    Output shape:
        As the input.

    Raises:
        ValueError: on dimensions that are not positive.

    Example:

    >>> import keras
    >>> from tfrec_models.layers import SwishLayerNorm
    >>> SwishLayerNorm(100)(keras.ops.ones((20, 100))).shape
    TensorShape([20, 100])
    """

    def __init__(self, input_dims: int | Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        one = isinstance(input_dims, numbers.Integral)
        self.input_dims = check_sizes("input_dims", [input_dims] if one else input_dims)
        axes = list(range(-len(self.input_dims), 0))
        self.norm = keras.layers.LayerNormalization(
            axis=axes, epsilon=1e-5, dtype=self.dtype_policy, name="norm"
        )

    def build(self, input_shape=None):
        if self.built:
            return
        self.norm.build((None, *self.input_dims))
        self.built = True

    def call(self, inputs):
        return inputs * keras.ops.sigmoid(self.norm(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "input_dims": self.input_dims}
