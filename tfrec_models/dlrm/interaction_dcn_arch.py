"""DLRM_DCN's interaction: a cross network over all embeddings side by side."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_positive
from tfrec_models._serialization import DeserializesChildren
from tfrec_models.dlrm.interaction_arch import check_interaction_shapes


@keras.saving.register_keras_serializable("tfrec_models")
class InteractionDCNArch(DeserializesChildren, keras.layers.Layer):
    """Crosses the dense vector and the F embeddings with a cross network.

        y = crossnet([dense | f_0 | .. | f_(F-1)])

    The dense vector is part of the crossed vector and is not put before it once more.

    Paper: Wang et al., DCN V2: Improved Deep & Cross Network, https://arxiv.org/abs/2008.13535.

    Args:
        num_sparse_features: int, F.
        crossnet: a Keras layer over `(batch, (F + 1) D)`, such as `LowRankCrossNet`.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        dense_features `(batch, D)` and sparse_features `(batch, F, D)`.

    Output shape:
        That of `crossnet`: `(batch, (F + 1) D)` for those of this package.

    Raises:
        ValueError: on an F below 1, or at a call on another number of sparse features.
        TypeError: if `crossnet` is no Keras layer.

    Example:

    >>> import keras
    >>> from tfrec_models.dlrm import InteractionDCNArch
    >>> from tfrec_models.layers import LowRankCrossNet
    >>> interaction = InteractionDCNArch(
    ...     num_sparse_features=2,
    ...     crossnet=LowRankCrossNet(in_features=9, num_layers=2, low_rank=4),
    ... )
    >>> interaction(keras.ops.ones((10, 3)), keras.ops.ones((10, 2, 3))).shape
    TensorShape([10, 9])
    """

    def __init__(
        self, num_sparse_features: int, crossnet: keras.layers.Layer, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        num_sparse_features = check_positive("num_sparse_features", num_sparse_features)
        check_is_layer("crossnet", crossnet, "LowRankCrossNet")
        self.num_sparse_features = num_sparse_features
        self.crossnet = crossnet

    def build(self, dense_features_shape=None, sparse_features_shape=None):
        if self.built:
            return
        build_over(self.crossnet, self.num_sparse_features, dense_features_shape)
        self.built = True

    def call(self, dense_features, sparse_features):
        check_interaction_shapes(self, dense_features, sparse_features)
        return self.crossnet(concat_features(dense_features, sparse_features))

    def compute_output_shape(self, dense_features_shape, sparse_features_shape=None):
        return self.crossnet.compute_output_shape(
            concat_shape(self.num_sparse_features, dense_features_shape)
        )

    def get_config(self):
        return {
            **super().get_config(),
            "num_sparse_features": self.num_sparse_features,
            "crossnet": keras.saving.serialize_keras_object(self.crossnet),
        }


def concat_features(dense, sparse):
    """Returns the dense vectors (B, D) and embeddings (B, F, D) side by side: (B, (F + 1) D)."""
    width = sparse.shape[1] * sparse.shape[2]
    return tf.concat([dense, tf.reshape(sparse, [-1, width])], axis=1)


def concat_shape(num_sparse_features, dense_features_shape):
    """Returns the shape of `concat_features`."""
    batch, dim = dense_features_shape
    return (batch, (num_sparse_features + 1) * dim)


def build_over(layer, num_sparse_features, dense_features_shape):
    """Builds a layer over `concat_features`, unless it is built.

    Layers of this package know their own width; the shape is for others.
    """
    if not layer.built:
        shape = dense_features_shape
        layer.build(shape and concat_shape(num_sparse_features, shape))


def check_is_layer(argument, layer, example):
    """Raises TypeError unless it is a Keras layer."""
    if not isinstance(layer, keras.layers.Layer):
        raise TypeError(
            f"{argument} must be a Keras layer, such as {example}, received {type(layer).__name__}."
        )
