"""The head of SimpleDeepFMNN."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_positive, check_width
from tfrec_models.layers.perceptron import linear


@keras.saving.register_keras_serializable("tfrec_models.deepfm")
class OverArch(keras.layers.Layer):
    """A linear layer and a sigmoid: the probability of a click.

        y = sigmoid(w . x + b)

    Computed from the logits by `keras.activations.sigmoid`, whose output remembers them: Keras's
    `BinaryCrossentropy` takes its loss from the logits, not from the rounded probability. The
    output is float32 under mixed precision, as half precision has no numbers between 0.9995 and 1.

    The weight of the last column starts at zero, the others as PyTorch's: the column is the
    second-order term, a sum over all pairs of numbers that may be of any size before training.

    Args:
        in_features: int, the number of columns the interaction gives.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, in_features)`.

    Output shape:
        `(batch, 1)`, probabilities.

    Raises:
        ValueError: on in_features below 1; at a call on another width.

    Example:

    >>> import keras
    >>> from tfrec_models.deepfm import OverArch
    >>> OverArch(10)(keras.ops.ones((20, 10))).shape
    TensorShape([20, 1])
    """

    def __init__(self, in_features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        in_features = check_positive("in_features", in_features)
        self.in_features = in_features
        self.linear = linear(in_features, 1, dtype=self.dtype_policy)
        self.linear.kernel_initializer = _ZeroForLastColumn(self.linear.kernel_initializer)

    @property
    def output_dtype(self) -> str:
        """The dtype of the probabilities: float32 at least."""
        return keras.backend.result_type(self.compute_dtype, "float32")

    def build(self, input_shape=None):
        if self.built:
            return
        self.linear.build((None, self.in_features))
        self.built = True

    def call(self, features):
        # TensorFlow fuses a sigmoid into the matrix product before it, with other last bits, unless
        # something else reads the logits too, as in an export. It does not look beyond a change of
        # shape. The sigmoid comes last: Keras's loss finds the logits behind it.
        logits = keras.ops.squeeze(self.logits(features), -1)
        return keras.activations.sigmoid(keras.ops.expand_dims(logits, -1))

    def logits(self, features: Any) -> tf.Tensor:
        """Returns w . x + b, `(batch, 1)`."""
        check_width(self, features, self.in_features)
        return keras.ops.cast(self.linear(features), self.output_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def compute_output_spec(self, features):
        return keras.KerasTensor(self.compute_output_shape(features.shape), self.output_dtype)

    def get_config(self):
        return {**super().get_config(), "in_features": self.in_features}


class _ZeroForLastColumn(keras.initializers.Initializer):
    """Another initializer's weights, but zero for the last column of the input."""

    def __init__(self, initializer):
        self.initializer = initializer

    def __call__(self, shape, dtype=None):
        weights = self.initializer(shape, dtype=dtype)
        return keras.ops.concatenate([weights[:-1], keras.ops.zeros_like(weights[-1:])])
