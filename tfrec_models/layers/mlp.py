"""Multi-layer perceptron."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import (
    check_bool,
    check_not_negative,
    check_share,
    check_sizes,
    check_width,
)
from tfrec_models._two_levels import TwoLevels, call_on_levels
from tfrec_models.layers.activation import serialize_activation
from tfrec_models.layers.perceptron import Perceptron


@keras.saving.register_keras_serializable("tfrec_models")
class MLP(keras.layers.Layer):
    """Several `Perceptron`s, one after the other.

    Args:
        in_size: int, the number of input columns, 0 or more.
        layer_sizes: list of int, the number of output columns of each layer; none is the
            identity.
        bias: bool, whether the layers have a bias.
        activation: a Keras activation, its name, or "swish_layernorm". It follows every layer.
        activation_on_last: bool, whether it follows the last layer too.
        batch_normalization: bool, whether every layer normalizes over the batch before its
            activation.
        dropout: float, the share of every layer's outputs that training sets to zero.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(..., in_size)`.

    Output shape:
        `(..., layer_sizes[-1])`.

    Raises:
        ValueError: on negative sizes, a layer of size 0, an unknown activation, or a dropout that
            is not 0 or above and below 1.

    Example:

    >>> import keras
    >>> from tfrec_models.layers import MLP
    >>> MLP(in_size=3, layer_sizes=[8, 2], activation="sigmoid")(keras.ops.ones((4, 3))).shape
    TensorShape([4, 2])
    """

    def __init__(
        self,
        in_size: int,
        layer_sizes: Sequence[int],
        bias: bool = True,
        activation: str | Callable[..., Any] | None = "relu",
        activation_on_last: bool = True,
        batch_normalization: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        in_size = check_not_negative("in_size", in_size)
        layer_sizes = check_sizes("layer_sizes", layer_sizes)
        self.in_size, self.layer_sizes = in_size, list(layer_sizes)
        self.bias, self.activation_on_last = bias, activation_on_last
        self.activation = activation
        self.batch_normalization = check_bool("batch_normalization", batch_normalization)
        self.dropout = check_share("dropout", dropout)
        in_sizes = [in_size, *self.layer_sizes]
        self.perceptrons = [
            Perceptron(
                in_sizes[i],
                out_size,
                bias=bias,
                activation=None
                if i == len(layer_sizes) - 1 and not activation_on_last
                else activation,
                batch_normalization=batch_normalization,
                dropout=dropout,
                dtype=self.dtype_policy,
                name=f"perceptron_{i}",
            )
            for i, out_size in enumerate(self.layer_sizes)
        ]

    def build(self, input_shape=None):
        if self.built:
            return
        for perceptron in self.perceptrons:
            perceptron.build()
        self.built = True

    def call(self, inputs):
        check_width(self, inputs, self.in_size)
        for perceptron in self.perceptrons:
            inputs = perceptron(inputs)
        return inputs

    def call_levels(self, inputs: TwoLevels) -> tf.Tensor:
        """Returns the output for candidates, the first product with the request made once."""
        if not self.perceptrons:
            return inputs.repeated()
        first, *others = self.perceptrons
        outputs = call_on_levels(first, inputs)
        for perceptron in others:
            outputs = perceptron(outputs)
        return outputs

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], [self.in_size, *self.layer_sizes][-1])

    def get_config(self):
        return {
            **super().get_config(),
            "in_size": self.in_size,
            "layer_sizes": self.layer_sizes,
            "bias": self.bias,
            "activation": serialize_activation(self.activation),
            "activation_on_last": self.activation_on_last,
            "batch_normalization": self.batch_normalization,
            "dropout": self.dropout,
        }
