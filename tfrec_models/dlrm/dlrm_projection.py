"""DLRM with projected dot products for its interaction."""

from collections.abc import Sequence
from typing import Any

import keras

from tfrec_models._checks.arguments import check_sizes
from tfrec_models.dlrm.dense_arch import DenseArch
from tfrec_models.dlrm.dlrm import DLRM
from tfrec_models.dlrm.interaction_projection_arch import InteractionProjectionArch
from tfrec_models.embeddings.base_sparse_arch import count_and_dim
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection


@keras.saving.register_keras_serializable("tfrec_models")
class DLRM_Projection(DLRM):  # noqa: N801, the name is TorchRec's
    """DLRM that crosses learned mixtures of the embeddings in place of the embeddings.

    With many sparse features all pairs are too many; here the number of dot products F1 F2 is
    chosen. See `InteractionProjectionArch` for the formula.

    Args:
        embedding_bag_collection: `EmbeddingBagCollection` whose tables all have the same
            embedding_dim D.
        dense_in_features: int, the number of dense features, 0 or more.
        dense_arch_layer_sizes: list of int, the dense MLP's layers; the last must be D.
        over_arch_layer_sizes: list of at least one int; the last is the number of logits.
        interaction_branch1_layer_sizes: list of int, the first branch's layers; the last must be
            a multiple F1 D.
        interaction_branch2_layer_sizes: list of int, the second branch's layers; the last must be
            a multiple F2 D.
        **kwargs: `batch_normalization` and `dropout`, as `DLRM`, and those of `keras.Model`.

    Input shape:
        As `DLRM`.

    Output shape:
        `(batch, over_arch_layer_sizes[-1])`, logits.

    Raises:
        ValueError: as `DLRM`; and on a branch that does not end in a multiple of D.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.dlrm import DLRM_Projection
    >>> model = DLRM_Projection(
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
    ...     interaction_branch1_layer_sizes=[10, 16],
    ...     interaction_branch2_layer_sizes=[10, 24],
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
        interaction_branch1_layer_sizes: Sequence[int],
        interaction_branch2_layer_sizes: Sequence[int],
        **kwargs: Any,
    ) -> None:
        num_features, dim = count_and_dim(embedding_bag_collection)
        dtype = kwargs.get("dtype")
        layer_sizes = {
            "interaction_branch1": interaction_branch1_layer_sizes,
            "interaction_branch2": interaction_branch2_layer_sizes,
        }
        branches = [
            DenseArch(
                (num_features + 1) * dim,
                check_sizes(f"{name}_layer_sizes", sizes),
                dtype=dtype,
                name=name,
            )
            for name, sizes in layer_sizes.items()
        ]
        super().__init__(
            embedding_bag_collection,
            dense_in_features,
            dense_arch_layer_sizes,
            over_arch_layer_sizes,
            InteractionProjectionArch(num_features, *branches, dtype=dtype, name="inter_arch"),
            **kwargs,
        )

    def interaction_config(self):
        arch = self.inter_arch
        return {
            "interaction_branch1_layer_sizes": arch.interaction_branch1.model.layer_sizes,
            "interaction_branch2_layer_sizes": arch.interaction_branch2.model.layer_sizes,
        }
