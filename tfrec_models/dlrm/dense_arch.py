"""The dense half of DLRM."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models._two_levels import TwoLevels, call_on_levels
from tfrec_models.layers.mlp import MLP
from tfrec_models.layers.perceptron import keep_at_zero


@keras.saving.register_keras_serializable("tfrec_models")
class DenseArch(keras.layers.Layer):
    """An MLP over the dense features, with ReLU after every layer, the last too.

    Args:
        in_features: int, the number of dense features; with 0 the output is zero and stays so, and
            the interaction is one of the embeddings alone.
        layer_sizes: list of int, the layers' output columns. In DLRM the last must be the
            embedding dim D.
        batch_normalization: bool, whether every layer normalizes over the batch.
        dropout: float, the share of every layer's outputs that training sets to zero.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, in_features)`.

    Output shape:
        `(batch, layer_sizes[-1])`.

    Raises:
        ValueError: on in_features below 0, layer sizes that are not positive, or none, or a dropout
            that is not 0 or above and below 1.

    Example:

    >>> import keras
    >>> from tfrec_models.dlrm import DenseArch
    >>> DenseArch(10, layer_sizes=[15, 3])(keras.ops.ones((20, 10))).shape
    TensorShape([20, 3])
    """

    def __init__(
        self,
        in_features: int,
        layer_sizes: Sequence[int],
        batch_normalization: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = MLP(
            in_features,
            layer_sizes,
            batch_normalization=batch_normalization,
            dropout=dropout,
            dtype=self.dtype_policy,
            name="model",
        )
        if not self.model.layer_sizes:
            raise ValueError("DenseArch needs at least one layer, received layer_sizes=[].")
        if not self.model.in_size:
            # The product of a learned constant with an embedding outweighs those of embeddings,
            # which start small, and a table learns one number a row.
            keep_at_zero(self.model.perceptrons)

    def build(self, input_shape=None):
        if self.built:
            return
        self.model.build((None, self.model.in_size))
        self.built = True

    def call(self, features):
        return self.model(features)

    def call_levels(self, features: TwoLevels) -> tf.Tensor:
        """Returns the output for candidates, the first product with the request made once."""
        return call_on_levels(self.model, features)

    def compute_output_shape(self, input_shape):
        return self.model.compute_output_shape(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "in_features": self.model.in_size,
            "layer_sizes": self.model.layer_sizes,
            "batch_normalization": self.model.batch_normalization,
            "dropout": self.model.dropout,
        }
