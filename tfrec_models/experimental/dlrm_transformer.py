"""DLRM with a transformer for its interaction."""

from collections.abc import Sequence
from typing import Any

import keras

from tfrec_models.dlrm import DLRM
from tfrec_models.embeddings.base_sparse_arch import count_and_dim
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.experimental.interaction_transformer_arch import InteractionTransformerArch


@keras.saving.register_keras_serializable("tfrec_models")
class DLRM_Transformer(DLRM):  # noqa: N801, the name is TorchRec's
    """DLRM whose interaction is a transformer encoder over the features.

        logits = OverArch(TransformerEncoder([DenseArch(dense) | SparseArch(sparse)]))

    Paper: Vaswani et al., Attention Is All You Need, https://arxiv.org/abs/1706.03762.

    Args:
        embedding_bag_collection: `EmbeddingBagCollection` whose tables all have the same
            embedding_dim D, a multiple of nhead.
        dense_in_features: int, the number of dense features, 0 or more.
        dense_arch_layer_sizes: list of int, the dense MLP's layers; the last must be D.
        over_arch_layer_sizes: list of at least one int; the last is the number of logits.
        nhead: int, the number of attention heads.
        ntransformer_layers: int, the number of encoder layers.
        attend_over: "features", or "batch" for TorchRec's numbers; see
            `InteractionTransformerArch`.
        **kwargs: `batch_normalization` and `dropout`, as `DLRM`, and those of `keras.Model`.

    Input shape:
        As `DLRM`.

    Output shape:
        `(batch, over_arch_layer_sizes[-1])`, logits.

    Raises:
        ValueError: as `DLRM` and `InteractionTransformerArch`.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.experimental import DLRM_Transformer
    >>> model = DLRM_Transformer(
    ...     embedding_bag_collection=EmbeddingBagCollection(
    ...         tables=[
    ...             EmbeddingBagConfig(
    ...                 name="t1", embedding_dim=8, num_embeddings=100, feature_names=["f1", "f3"]
    ...             ),
    ...             EmbeddingBagConfig(
    ...                 name="t2", embedding_dim=8, num_embeddings=100, feature_names=["f2"]
    ...             ),
    ...         ]
    ...     ),
    ...     dense_in_features=100,
    ...     dense_arch_layer_sizes=[20, 8],
    ...     over_arch_layer_sizes=[5, 1],
    ...     nhead=8,
    ...     ntransformer_layers=2,
    ... )
    >>> logits = model(
    ...     dense_features=tf.random.uniform((2, 100)),
    ...     sparse_features={
    ...         "f1": tf.ragged.constant([[1, 2], [4]]),
    ...         "f2": tf.constant([5, 4]),
    ...         "f3": tf.ragged.constant([[], [3, 2, 9]], dtype=tf.int32),
    ...     },
    ... )
    >>> logits.shape
    TensorShape([2, 1])
    """

    def __init__(
        self,
        embedding_bag_collection: EmbeddingBagCollection,
        dense_in_features: int,
        dense_arch_layer_sizes: Sequence[int],
        over_arch_layer_sizes: Sequence[int],
        nhead: int = 8,
        ntransformer_layers: int = 4,
        attend_over: str = "features",
        **kwargs: Any,
    ) -> None:
        num_features, dim = count_and_dim(embedding_bag_collection)
        super().__init__(
            embedding_bag_collection,
            dense_in_features,
            dense_arch_layer_sizes,
            over_arch_layer_sizes,
            InteractionTransformerArch(
                num_features,
                dim,
                nhead,
                ntransformer_layers,
                attend_over,
                dtype=kwargs.get("dtype"),
                name="inter_arch",
            ),
            **kwargs,
        )

    def interaction_config(self):
        arch = self.inter_arch
        return {
            "nhead": arch.nhead,
            "ntransformer_layers": arch.ntransformer_layers,
            "attend_over": arch.attend_over,
        }
