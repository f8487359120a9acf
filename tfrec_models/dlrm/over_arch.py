"""The head of DLRM."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_sizes
from tfrec_models._two_levels import TwoLevels, call_on_levels
from tfrec_models.layers.mlp import MLP
from tfrec_models.layers.perceptron import linear


@keras.saving.register_keras_serializable("tfrec_models")
class OverArch(keras.layers.Layer):
    """An MLP with ReLU, then a linear layer that gives logits.

    Args:
        in_features: int, the number of columns the interaction gives.
        layer_sizes: list of at least two int; the last is the number of logits.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, in_features)`.

    Output shape:
        `(batch, layer_sizes[-1])`.

    Raises:
        ValueError: on fewer than two layers, or sizes that are not positive.

    Example:

    >>> import keras
    >>> from tfrec_models.dlrm import OverArch
    >>> OverArch(10, [5, 1])(keras.ops.ones((20, 10))).shape
    TensorShape([20, 1])
    """

    def __init__(self, in_features: int, layer_sizes: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer_sizes = layer_sizes = check_sizes("layer_sizes", layer_sizes)
        if len(layer_sizes) < 2:
            raise ValueError(
                "OverArch must have multiple layers: layer_sizes needs at least two numbers, such "
                f"as [64, 1], received {layer_sizes!r}."
            )
        self.mlp = MLP(in_features, layer_sizes[:-1], dtype=self.dtype_policy, name="mlp")
        self.linear = linear(layer_sizes[-2], layer_sizes[-1], dtype=self.dtype_policy)

    def build(self, input_shape=None):
        if self.built:
            return
        self.mlp.build((None, self.mlp.in_size))
        self.linear.build((None, self.layer_sizes[-2]))
        self.built = True

    def call(self, features):
        return self.linear(self.mlp(features))

    def call_levels(self, features: TwoLevels) -> tf.Tensor:
        """Returns the logits of candidates, the first product with the request made once."""
        return self.linear(call_on_levels(self.mlp, features))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.layer_sizes[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "in_features": self.mlp.in_size,
            "layer_sizes": self.layer_sizes,
        }
