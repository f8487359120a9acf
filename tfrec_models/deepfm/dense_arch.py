"""The dense half of SimpleDeepFMNN."""

from typing import Any

import keras

from tfrec_models._checks.arguments import check_not_negative, check_positive
from tfrec_models.layers.mlp import MLP
from tfrec_models.layers.perceptron import keep_at_zero


@keras.saving.register_keras_serializable("tfrec_models.deepfm")
class DenseArch(keras.layers.Layer):
    """An MLP of one hidden layer over the dense features, with ReLU after both layers.

    Args:
        in_features: int, the number of dense features; with 0 the output is zero and stays so.
        hidden_layer_size: int, the hidden layer's columns.
        embedding_dim: int, the output columns.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, in_features)`.

    Output shape:
        `(batch, embedding_dim)`.

    Raises:
        ValueError: on in_features below 0, or other sizes that are not positive.

    Example:

    >>> import keras
    >>> from tfrec_models.deepfm import DenseArch
    >>> DenseArch(10, hidden_layer_size=10, embedding_dim=3)(keras.ops.ones((20, 10))).shape
    TensorShape([20, 3])
    """

    def __init__(
        self, in_features: int, hidden_layer_size: int, embedding_dim: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        in_features = check_not_negative("in_features", in_features)
        hidden_layer_size = check_positive("hidden_layer_size", hidden_layer_size)
        embedding_dim = check_positive("embedding_dim", embedding_dim)
        self.model = MLP(
            in_features, [hidden_layer_size, embedding_dim], dtype=self.dtype_policy, name="model"
        )
        if not in_features:
            keep_at_zero(self.model.perceptrons)

    def build(self, input_shape=None):
        if self.built:
            return
        self.model.build()
        self.built = True

    def call(self, features):
        return self.model(features)

    def compute_output_shape(self, input_shape):
        return self.model.compute_output_shape(input_shape)

    def get_config(self):
        hidden_layer_size, embedding_dim = self.model.layer_sizes
        return {
            **super().get_config(),
            "in_features": self.model.in_size,
            "hidden_layer_size": hidden_layer_size,
            "embedding_dim": embedding_dim,
        }
