"""DLRM: sparse and dense arch, interaction, over arch."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models._two_levels import TwoLevels, call_on_levels, takes_levels
from tfrec_models.dlrm.dense_arch import DenseArch
from tfrec_models.dlrm.interaction_arch import InteractionArch
from tfrec_models.dlrm.over_arch import OverArch
from tfrec_models.dlrm.sparse_arch import SparseArch
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.ranking_model import RankingModel, with_equal_batch_sizes


@keras.saving.register_keras_serializable("tfrec_models")
class DLRM(RankingModel):
    """Deep Learning Recommendation Model: a ranker over dense and sparse features.

    Dense features go through an MLP, ids through embedding tables; the interaction crosses the
    dense vector with the embeddings, and a second MLP makes logits of it:

        logits = OverArch(InteractionArch(DenseArch(dense), SparseArch(sparse)))

    Compile it with a loss that takes logits, such as
    `keras.losses.BinaryCrossentropy(from_logits=True)`.

    Paper: Naumov et al., Deep Learning Recommendation Model for Personalization and
    Recommendation Systems, https://arxiv.org/abs/1906.00091.

    Args:
        embedding_bag_collection: `EmbeddingBagCollection` whose tables all have the same
            embedding_dim D.
        dense_in_features: int, the number of dense features, 0 or more.
        dense_arch_layer_sizes: list of int, the dense MLP's layers; the last must be D.
        over_arch_layer_sizes: list of at least one int; the last is the number of logits.
        inter_arch: a layer of the form `Interaction`, in place of `InteractionArch`.
        batch_normalization: bool, whether every layer of both MLPs but that of the logits
            normalizes over the batch.
        dropout: float, the share of outputs of these layers that training sets to zero. Without
            dense features the dense arch, a constant then, has neither.
        **kwargs: those of `keras.Model`.

    Input shape:
        `{"dense_features": (batch, dense_in_features), "sparse_features": ...}`, or the two as
        arguments of these names. For the forms of sparse_features see `EmbeddingBagCollection`.

    Output shape:
        `(batch, over_arch_layer_sizes[-1])`, logits.

    Raises:
        TypeError: on an inter_arch that is no layer.
        ValueError: on tables of unequal dims, a dense arch that does not end in D, an over arch
            without layers, a dropout out of range; at a call on inputs that do not fit.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    >>> model = DLRM(
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
        inter_arch: keras.layers.Layer | None = None,
        batch_normalization: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(dense_in_features, **kwargs)
        policy = self.dtype_policy
        regularization: dict[str, Any] = {
            "batch_normalization": batch_normalization,
            "dropout": dropout,
        }
        self.sparse_arch = SparseArch(embedding_bag_collection, dtype=policy, name="sparse_arch")
        self.dense_arch = DenseArch(
            dense_in_features,
            dense_arch_layer_sizes,
            dtype=policy,
            name="dense_arch",
            # A constant has no variance over the batch.
            **(regularization if dense_in_features else {}),
        )
        dim, num_features = self.sparse_arch.embedding_dim, self.sparse_arch.num_sparse_features
        if dense_arch_layer_sizes[-1] != dim:
            raise ValueError(
                f"The dense arch must end in the tables' embedding_dim {dim}, received "
                f"dense_arch_layer_sizes={list(dense_arch_layer_sizes)}. Set the last to {dim}."
            )
        if inter_arch is None:
            if num_features == 1 and not dense_in_features:
                warnings.warn(
                    "DLRM with one sparse feature and no dense features has no pair of vectors: "
                    "its logits do not depend on the ids. Give it inter_arch="
                    "InteractionConcatArch(1).",
                    stacklevel=2,
                )
            inter_arch = InteractionArch(num_features, dtype=policy, name="inter_arch")
        if not isinstance(inter_arch, keras.layers.Layer):
            raise TypeError(
                "inter_arch must be a Keras layer with build, call and compute_output_shape of "
                f"dense and sparse features, received {type(inter_arch).__name__}; see "
                "tfrec_models.dlrm.Interaction."
            )
        self.inter_arch = inter_arch
        over_in_features = inter_arch.compute_output_shape((None, dim), (None, num_features, dim))
        self.over_arch = OverArch(
            over_in_features[-1],
            over_arch_layer_sizes,
            dtype=policy,
            name="over_arch",
            **regularization,
        )

    @property
    def embedding_bag_collection(self) -> EmbeddingBagCollection:
        return self.sparse_arch.embedding_bag_collection

    def build(self, input_shape=None):
        if self.built:
            return
        dim, num_features = self.sparse_arch.embedding_dim, self.sparse_arch.num_sparse_features
        if not self.sparse_arch.built:
            self.sparse_arch.build((None, len(self.sparse_feature_names), None))
        self.dense_arch.build((None, self.dense_in_features))
        if not self.inter_arch.built:
            self.inter_arch.build((None, dim), (None, num_features, dim))
        self.over_arch.build((None, self.over_arch.mlp.in_size))
        self.built = True

    def rank(self, dense_features, sparse_features):
        dense = self.dense_arch(dense_features)
        sparse = self.sparse_arch(sparse_features)
        sparse = with_equal_batch_sizes(sparse, dense)
        return self.over_arch(self.inter_arch(dense, sparse))

    def rank_levels(self, dense: TwoLevels, sparse: TwoLevels) -> tf.Tensor:
        """Returns the logits of candidates; what depends on their requests alone is made once each.

        Args:
            dense: `TwoLevels` of the dense features.
            sparse: `TwoLevels` of the pooled embeddings, in table order.

        Returns:
            Tensor of shape `(C, num_outputs)`.
        """
        vectors = self._vectors_of_levels(dense, sparse)
        if takes_levels(self.inter_arch):
            return call_on_levels(self.over_arch, self.inter_arch.call_levels(vectors))
        rows = vectors.repeated()
        return self.over_arch(self.inter_arch(rows[:, 0], rows[:, 1:]))

    def _vectors_of_levels(self, dense, sparse):
        """The embeddings after the dense vector, a request's if all dense features are."""
        sparse = sparse.map(lambda part: tf.cast(part, self.compute_dtype))
        request, candidate = [sparse.request], [sparse.candidate]
        columns = [
            [1 + number for number in numbers]
            for numbers in (sparse.request_columns, sparse.candidate_columns)
        ]
        if dense.candidate_columns:
            candidate.insert(0, call_on_levels(self.dense_arch, dense)[:, tf.newaxis])
            columns[1].insert(0, 0)
        else:
            request.insert(0, self.dense_arch(dense.request)[:, tf.newaxis])
            columns[0].insert(0, 0)
        return TwoLevels(
            tf.concat(request, 1), tf.concat(candidate, 1), *columns, sparse.request_of
        )

    @property
    def num_outputs(self) -> int:
        return self.over_arch.layer_sizes[-1]

    def get_config(self):
        return {
            **super().get_config(),
            "embedding_bag_collection": keras.saving.serialize_keras_object(
                self.embedding_bag_collection
            ),
            "dense_in_features": self.dense_in_features,
            "dense_arch_layer_sizes": self.dense_arch.model.layer_sizes,
            "over_arch_layer_sizes": self.over_arch.layer_sizes,
            "batch_normalization": self.over_arch.mlp.batch_normalization,
            "dropout": self.over_arch.mlp.dropout,
            **self.interaction_config(),
        }

    def interaction_config(self):
        """The constructor's arguments that say what the interaction is; a variant has its own."""
        return {"inter_arch": keras.saving.serialize_keras_object(self.inter_arch)}
