"""Interaction by a transformer encoder over the features."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_positive
from tfrec_models.dlrm.interaction_arch import check_interaction_shapes
from tfrec_models.experimental.transformer_encoder_layer import TransformerEncoderLayer

ATTEND_OVER = ("features", "batch")


@keras.saving.register_keras_serializable("tfrec_models")
class InteractionTransformerArch(keras.layers.Layer):
    """Lets the dense vector and the F embeddings of an example attend to each other.

    With Z the dense vector above the embeddings, (F + 1) x D:

        y = TransformerEncoder(Z), row by row

    TorchRec's attends over the examples of the batch in place of the features (it leaves
    PyTorch's `batch_first` off), so that a prediction depends on what else is in the batch and
    features are never combined. `attend_over="batch"` does the same, for weights trained there.

    Paper: Vaswani et al., Attention Is All You Need, https://arxiv.org/abs/1706.03762.

    Args:
        num_sparse_features: int, F.
        embedding_dim: int, D, a multiple of nhead.
        nhead: int, the number of attention heads.
        ntransformer_layers: int, the number of encoder layers.
        attend_over: "features", or "batch" for TorchRec's numbers.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        dense_features `(batch, D)` and sparse_features `(batch, F, D)`.

    Output shape:
        `(batch, (F + 1) D)`.

    Raises:
        ValueError: on sizes below 1, a D that nhead does not divide, or another attend_over; at a
            call on another number of sparse features.

    Example:

    >>> import keras
    >>> from tfrec_models.experimental import InteractionTransformerArch
    >>> interaction = InteractionTransformerArch(
    ...     num_sparse_features=2, embedding_dim=8, nhead=4, ntransformer_layers=2
    ... )
    >>> interaction(keras.ops.ones((10, 8)), keras.ops.ones((10, 2, 8))).shape
    TensorShape([10, 24])
    """

    def __init__(
        self,
        num_sparse_features: int,
        embedding_dim: int,
        nhead: int = 8,
        ntransformer_layers: int = 4,
        attend_over: str = "features",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        num_sparse_features = check_positive("num_sparse_features", num_sparse_features)
        embedding_dim = check_positive("embedding_dim", embedding_dim)
        nhead = check_positive("nhead", nhead)
        ntransformer_layers = check_positive("ntransformer_layers", ntransformer_layers)
        if attend_over not in ATTEND_OVER:
            raise ValueError(
                f"attend_over must be one of {list(ATTEND_OVER)}, received {attend_over!r}."
            )
        self.num_sparse_features = num_sparse_features
        self.embedding_dim, self.nhead = embedding_dim, nhead
        self.ntransformer_layers, self.attend_over = ntransformer_layers, attend_over
        self.encoder = [
            TransformerEncoderLayer(
                embedding_dim, nhead, dtype=self.dtype_policy, name=f"encoder_{number}"
            )
            for number in range(ntransformer_layers)
        ]

    def build(self, dense_features_shape=None, sparse_features_shape=None):
        if self.built:
            return
        for layer in self.encoder:
            layer.build()
        self.built = True

    def call(self, dense_features, sparse_features):
        check_interaction_shapes(self, dense_features, sparse_features)
        stacked = tf.concat([dense_features[:, tf.newaxis], sparse_features], axis=1)
        over_batch = self.attend_over == "batch"
        if over_batch:
            stacked = tf.transpose(stacked, [1, 0, 2])
        for layer in self.encoder:
            stacked = layer(stacked)
        if over_batch:
            stacked = tf.transpose(stacked, [1, 0, 2])
        return tf.reshape(stacked, [-1, (self.num_sparse_features + 1) * self.embedding_dim])

    def compute_output_shape(self, dense_features_shape, sparse_features_shape=None):
        return (dense_features_shape[0], (self.num_sparse_features + 1) * self.embedding_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "num_sparse_features": self.num_sparse_features,
            "embedding_dim": self.embedding_dim,
            "nhead": self.nhead,
            "ntransformer_layers": self.ntransformer_layers,
            "attend_over": self.attend_over,
        }
