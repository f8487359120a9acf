"""DLRM with a cross network for its interaction."""

from collections.abc import Sequence
from typing import Any

import keras

from tfrec_models._checks.arguments import check_not_negative, check_positive
from tfrec_models.dlrm.dlrm import DLRM
from tfrec_models.dlrm.interaction_dcn_arch import InteractionDCNArch
from tfrec_models.embeddings.base_sparse_arch import count_and_dim
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.layers.low_rank_crossnet import LowRankCrossNet


@keras.saving.register_keras_serializable("tfrec_models")
class DLRM_DCN(DLRM):  # noqa: N801, the name is TorchRec's
    """DLRM whose interaction is a low-rank cross network, as in MLPerf's DLRM DCNv2.

        logits = OverArch(LowRankCrossNet([DenseArch(dense) | SparseArch(sparse)]))

    Paper: Wang et al., DCN V2: Improved Deep & Cross Network, https://arxiv.org/abs/2008.13535.

    Args:
        embedding_bag_collection: `EmbeddingBagCollection` whose tables all have the same
            embedding_dim D.
        dense_in_features: int, the number of dense features, 0 or more.
        dense_arch_layer_sizes: list of int, the dense MLP's layers; the last must be D.
        over_arch_layer_sizes: list of at least one int; the last is the number of logits.
        dcn_num_layers: int, the number of cross layers.
        dcn_low_rank_dim: int, the rank of their matrices.
        **kwargs: `batch_normalization` and `dropout`, as `DLRM`, and those of `keras.Model`.

    Input shape:
        As `DLRM`.

    Output shape:
        `(batch, over_arch_layer_sizes[-1])`, logits.

    Raises:
        ValueError: as `DLRM`; and on a negative dcn_num_layers or a dcn_low_rank_dim below 1.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.dlrm import DLRM_DCN
    >>> model = DLRM_DCN(
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
    ...     dcn_num_layers=2,
    ...     dcn_low_rank_dim=8,
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
        dcn_num_layers: int,
        dcn_low_rank_dim: int,
        **kwargs: Any,
    ) -> None:
        dcn_num_layers = check_not_negative("dcn_num_layers", dcn_num_layers)
        dcn_low_rank_dim = check_positive("dcn_low_rank_dim", dcn_low_rank_dim)
        num_features, dim = count_and_dim(embedding_bag_collection)
        dtype = kwargs.get("dtype")
        crossnet = LowRankCrossNet(
            (num_features + 1) * dim, dcn_num_layers, dcn_low_rank_dim, dtype=dtype, name="crossnet"
        )
        super().__init__(
            embedding_bag_collection,
            dense_in_features,
            dense_arch_layer_sizes,
            over_arch_layer_sizes,
            InteractionDCNArch(num_features, crossnet, dtype=dtype, name="inter_arch"),
            **kwargs,
        )

    def interaction_config(self):
        crossnet = self.inter_arch.crossnet
        return {
            "dcn_num_layers": crossnet.num_layers,
            "dcn_low_rank_dim": crossnet.low_rank,
        }
