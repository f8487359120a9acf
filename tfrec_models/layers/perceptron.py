"""Dense layer with an activation."""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import (
    check_bool,
    check_not_negative,
    check_positive,
    check_share,
    check_width,
)
from tfrec_models._two_levels import TwoLevels
from tfrec_models.layers.activation import activate, get_activation, serialize_activation


@keras.saving.register_keras_serializable("tfrec_models")
class Perceptron(keras.layers.Layer):
    """One dense layer with an activation.

        y = dropout(activation(normalization(x W + b)))

    Weight and bias start uniform in ±1/sqrt(in_size), as PyTorch's `Linear` does. Batch
    normalization has PyTorch's constants: an epsilon of 1e-5, and moving averages that keep 0.9 of
    themselves.

    Args:
        in_size: int, the number of input columns; with 0 the output is a learned constant.
        out_size: int, the number of output columns.
        bias: bool, whether to add a bias.
        activation: a Keras activation, its name, or "swish_layernorm".
        batch_normalization: bool, whether to normalize over the batch before the activation.
        dropout: float, the share of outputs that training sets to zero, 0 or above and below 1.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(..., in_size)`.

    Output shape:
        `(..., out_size)`.

    Raises:
        ValueError: on a negative in_size, an out_size below 1, an unknown activation, or a dropout
            out of range.

    Example:

    >>> import keras
    >>> from tfrec_models.layers import Perceptron
    >>> Perceptron(in_size=3, out_size=2)(keras.ops.ones((4, 3))).shape
    TensorShape([4, 2])
    """

    def __init__(
        self,
        in_size: int,
        out_size: int,
        bias: bool = True,
        activation: str | Callable[..., Any] | None = "relu",
        batch_normalization: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        in_size = check_not_negative("in_size", in_size)
        out_size = check_positive("out_size", out_size)
        self.in_size, self.out_size, self.bias = in_size, out_size, bias
        self.activation = get_activation(activation, out_size, dtype=self.dtype_policy)
        self.linear = linear(in_size, out_size, bias, dtype=self.dtype_policy)
        self.batch_normalization = check_bool("batch_normalization", batch_normalization)
        self.dropout = check_share("dropout", dropout)
        self.normalization = self.dropping = None
        if batch_normalization:
            self.normalization = keras.layers.BatchNormalization(
                momentum=0.9, epsilon=1e-5, dtype=self.dtype_policy, name="normalization"
            )
        if dropout:
            self.dropping = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropping")

    def build(self, input_shape=None):
        if self.built:
            return
        self.linear.build((None, self.in_size))
        for layer in (self.activation, self.normalization, self.dropping):
            if isinstance(layer, keras.layers.Layer):
                layer.build((None, self.out_size))
        self.built = True

    def call(self, inputs):
        check_width(self, inputs, self.in_size)
        return self._after_linear(apply_linear(self.linear, inputs))

    def call_levels(self, inputs: TwoLevels) -> tf.Tensor:
        """Returns the output for candidates, the product with the request's columns made once."""
        return self._after_linear(_linear_of_levels(self.linear, inputs))

    def _after_linear(self, outputs):
        if self.normalization is not None:
            outputs = self.normalization(outputs)
        outputs = activate(self.activation, outputs)
        return outputs if self.dropping is None else self.dropping(outputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.out_size)

    def get_config(self):
        return {
            **super().get_config(),
            "in_size": self.in_size,
            "out_size": self.out_size,
            "bias": self.bias,
            "activation": serialize_activation(self.activation),
            "batch_normalization": self.batch_normalization,
            "dropout": self.dropout,
        }


def apply_linear(dense, inputs):
    """Returns `dense(inputs)`, the bias included where there are no input columns.

    Grappler makes one operation of product and bias, which TensorFlow's CPU kernel leaves at zero
    where the product is over nothing.
    """
    if inputs.shape[-1] != 0:
        return dense(inputs)
    # Grappler does not look beyond a change of shape, which costs nothing.
    outputs = tf.squeeze(tf.expand_dims(keras.ops.matmul(inputs, dense.kernel), 0), 0)
    return outputs if dense.bias is None else outputs + dense.bias


def _linear_of_levels(dense, inputs):
    """Returns `dense` of two levels: W x + b = (W_r r + b) + W_c c."""
    # The kernel of a quantized layer is codes.
    if not inputs.request_columns or dense.quantization_mode is not None:
        return apply_linear(dense, inputs.repeated())
    kernel, bias = (
        None if weight is None else tf.cast(weight, dense.compute_dtype)
        for weight in (dense.kernel, dense.bias)
    )
    inputs = inputs.map(lambda part: tf.cast(part, dense.compute_dtype))
    request = tf.matmul(inputs.request, tf.gather(kernel, list(inputs.request_columns)))
    request = request if bias is None else request + bias
    if not inputs.candidate_columns:
        return inputs.of_candidates(request)
    kernel = tf.gather(kernel, list(inputs.candidate_columns))
    return inputs.for_one_request(
        lambda: tf.nn.bias_add(tf.matmul(inputs.candidate, kernel), request[0]),
        lambda: tf.matmul(inputs.candidate, kernel) + inputs.of_candidates(request),
    )


def keep_at_zero(perceptrons):
    """Has perceptrons without input columns start at zero, where ReLU keeps them in training."""
    for perceptron in perceptrons:
        perceptron.linear.bias_initializer = keras.initializers.Zeros()


def linear(in_size, out_size, bias=True, name="linear", **kwargs):
    """Returns a `Dense` layer that starts as PyTorch's `Linear` does."""
    # Zeros, as PyTorch has for no columns, would leave ReLU without a gradient permanently.
    bound = 1 / math.sqrt(max(in_size, 1))
    uniform = keras.initializers.RandomUniform(-bound, bound)
    return keras.layers.Dense(
        out_size,
        use_bias=bias,
        kernel_initializer=uniform,
        bias_initializer=uniform.clone(),
        name=name,
        **kwargs,
    )
