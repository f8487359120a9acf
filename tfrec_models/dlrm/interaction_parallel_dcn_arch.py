"""A cross network and a deep network side by side: the parallel form of DCN V2."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_positive
from tfrec_models._serialization import DeserializesChildren
from tfrec_models.dlrm.interaction_arch import check_interaction_shapes
from tfrec_models.dlrm.interaction_dcn_arch import (
    build_over,
    check_is_layer,
    concat_features,
    concat_shape,
)


@keras.saving.register_keras_serializable("tfrec_models")
class InteractionParallelDCNArch(DeserializesChildren, keras.layers.Layer):
    """Crosses the embeddings with a cross network, and with an MLP beside it.

    With x the dense vector and the F embeddings side by side:

        y = [crossnet(x) | deep(x)],  x = [dense | f_0 | .. | f_(F-1)]

    An over arch of one linear layer, `DLRM(..., over_arch_layer_sizes=[1], inter_arch=...)`, makes
    the parallel DCN V2 of it; the stacked one is `DLRM_DCN`, where the over arch follows the cross
    network.

    Paper: Wang et al., DCN V2: Improved Deep & Cross Network, https://arxiv.org/abs/2008.13535.

    Args:
        num_sparse_features: int, F.
        crossnet: a Keras layer over `(batch, (F + 1) D)`, such as `CrossNet`.
        deep: a Keras layer over the same, such as `MLP`.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        dense_features `(batch, D)` and sparse_features `(batch, F, D)`.

    Output shape:
        `(batch, M + N)`, the columns of `crossnet`, then those of `deep`.

    Raises:
        ValueError: on an F below 1, or at a call on another number of sparse features.
        TypeError: if `crossnet` or `deep` is no Keras layer.

    Example:

    >>> import keras
    >>> from tfrec_models.dlrm import InteractionParallelDCNArch
    >>> from tfrec_models.layers import MLP, CrossNet
    >>> interaction = InteractionParallelDCNArch(
    ...     num_sparse_features=2,
    ...     crossnet=CrossNet(in_features=9, num_layers=2),
    ...     deep=MLP(in_size=9, layer_sizes=[8, 4]),
    ... )
    >>> interaction(keras.ops.ones((10, 3)), keras.ops.ones((10, 2, 3))).shape
    TensorShape([10, 13])
    """

    def __init__(
        self,
        num_sparse_features: int,
        crossnet: keras.layers.Layer,
        deep: keras.layers.Layer,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_sparse_features = check_positive("num_sparse_features", num_sparse_features)
        check_is_layer("crossnet", crossnet, "CrossNet")
        check_is_layer("deep", deep, "MLP")
        self.crossnet, self.deep = crossnet, deep

    def build(self, dense_features_shape=None, sparse_features_shape=None):
        if self.built:
            return
        for layer in (self.crossnet, self.deep):
            build_over(layer, self.num_sparse_features, dense_features_shape)
        self.built = True

    def call(self, dense_features, sparse_features):
        check_interaction_shapes(self, dense_features, sparse_features)
        features = concat_features(dense_features, sparse_features)
        return tf.concat([self.crossnet(features), self.deep(features)], axis=1)

    def compute_output_shape(self, dense_features_shape, sparse_features_shape=None):
        shape = concat_shape(self.num_sparse_features, dense_features_shape)
        widths = [layer.compute_output_shape(shape)[-1] for layer in (self.crossnet, self.deep)]
        return (shape[0], sum(widths))

    def get_config(self):
        return {
            **super().get_config(),
            "num_sparse_features": self.num_sparse_features,
            "crossnet": keras.saving.serialize_keras_object(self.crossnet),
            "deep": keras.saving.serialize_keras_object(self.deep),
        }
