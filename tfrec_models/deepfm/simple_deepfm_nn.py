"""TorchRec's DeepFM."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_not_negative
from tfrec_models.deepfm.dense_arch import DenseArch
from tfrec_models.deepfm.fm_interaction_arch import FMInteractionArch
from tfrec_models.deepfm.over_arch import OverArch
from tfrec_models.deepfm.sparse_arch import SparseArch
from tfrec_models.embeddings.base_sparse_arch import count_and_dim
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.ranking_model import (
    RankingModel,
    checked_dense,
    running,
    split_inputs,
    with_equal_batch_sizes,
)
from tfrec_models.sparse.keyed_tensor import KeyedTensor


@keras.saving.register_keras_serializable("tfrec_models")
class SimpleDeepFMNN(RankingModel):
    """A small DeepFM: one deep layer and a second-order term over everything.

        probability = OverArch(FMInteractionArch(DenseArch(dense), SparseArch(sparse)))

    TorchRec's model, for TorchRec's weights. It has no first-order term and crosses single
    numbers; the DeepFM of the paper is `DeepFMRanker`.

    It gives probabilities (TorchRec calls them logits, and its wrapper then takes a second sigmoid:
    a loss that cannot fall below 0.31). Compile it with `keras.losses.BinaryCrossentropy()`, which
    takes the loss from the logits behind the probabilities, so that confident mistakes keep their
    gradient. Loops that want the logits call `logits`.

    Paper: Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction,
    https://arxiv.org/abs/1703.04247.

    Args:
        num_dense_features: int, the number of dense features, 0 or more.
        embedding_bag_collection: `EmbeddingBagCollection` whose tables all have the same
            embedding_dim D.
        hidden_layer_size: int, the columns of the dense arch's hidden layer.
        deep_fm_dimension: int, the columns of the deep layer.
        **kwargs: those of `keras.Model`.

    Input shape:
        As `DLRM`.

    Output shape:
        `(batch, 1)`, probabilities.

    Raises:
        ValueError: on tables of unequal dims or sizes that are not positive; at a call on inputs
            that do not fit.

    Example:

    >>> import keras
    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.deepfm import SimpleDeepFMNN
    >>> model = SimpleDeepFMNN(
    ...     num_dense_features=100,
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
    ...     hidden_layer_size=20,
    ...     deep_fm_dimension=5,
    ... )
    >>> batch = {
    ...     "dense_features": tf.random.uniform((2, 100)),
    ...     "sparse_features": {
    ...         "f1": tf.ragged.constant([[1, 2], [4]]),
    ...         "f2": tf.constant([5, 4]),
    ...         "f3": tf.ragged.constant([[], [3, 2, 9]], dtype=tf.int32),
    ...     },
    ... }
    >>> model(batch).shape
    TensorShape([2, 1])
    >>> model.compile(loss=keras.losses.BinaryCrossentropy(), optimizer="sgd")
    >>> bool(tf.reduce_all(tf.abs(tf.sigmoid(model.logits(batch)) - model(batch)) < 1e-6))
    True
    """

    gives_logits = False

    def __init__(
        self,
        num_dense_features: int,
        embedding_bag_collection: EmbeddingBagCollection,
        hidden_layer_size: int,
        deep_fm_dimension: int,
        **kwargs: Any,
    ) -> None:
        num_dense_features = check_not_negative("num_dense_features", num_dense_features)
        super().__init__(num_dense_features, **kwargs)
        num_features, dim = count_and_dim(embedding_bag_collection)
        policy = self.dtype_policy
        self.sparse_arch = SparseArch(embedding_bag_collection, dtype=policy, name="sparse_arch")
        self.dense_arch = DenseArch(
            num_dense_features, hidden_layer_size, dim, dtype=policy, name="dense_arch"
        )
        self.inter_arch = FMInteractionArch(
            (num_features + 1) * dim,
            embedding_bag_collection.embedding_names,
            deep_fm_dimension,
            dtype=policy,
            name="inter_arch",
        )
        self.over_arch = OverArch(dim + deep_fm_dimension + 1, dtype=policy, name="over_arch")

    @property
    def embedding_bag_collection(self) -> EmbeddingBagCollection:
        return self.sparse_arch.embedding_bag_collection

    @property
    def num_outputs(self) -> int:
        return 1

    def build(self, input_shape=None):
        if self.built:
            return
        for arch in (self.sparse_arch, self.dense_arch, self.inter_arch, self.over_arch):
            if not arch.built:
                arch.build()
        self.built = True

    def rank(self, dense_features, sparse_features):
        return self.over_arch(self._interact(dense_features, sparse_features))

    def logits(
        self, dense_features: Any, sparse_features: Any = None, training: bool | None = None
    ) -> tf.Tensor:
        """Returns what the sigmoid is taken of.

        Args:
            dense_features, sparse_features, training: as in a call of the model.

        Returns:
            Tensor of shape `(batch, 1)`.
        """
        dense_features, sparse_features = split_inputs(dense_features, sparse_features)
        dense_features = checked_dense(dense_features, self.dense_in_features)
        with running(training):
            return self.over_arch.logits(self._interact(dense_features, sparse_features))

    def _interact(self, dense_features, sparse_features):
        dense = self.dense_arch(dense_features)
        sparse = self.sparse_arch(sparse_features)
        values = with_equal_batch_sizes(sparse.values(), dense)
        sparse = KeyedTensor(sparse.keys(), sparse.length_per_key(), values)
        return self.inter_arch(dense, sparse)

    def compute_output_spec(self, dense_features, sparse_features=None, training=None):
        spec = super().compute_output_spec(dense_features, sparse_features)
        return keras.KerasTensor(spec.shape, self.over_arch.output_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_dense_features": self.dense_in_features,
            "embedding_bag_collection": keras.saving.serialize_keras_object(
                self.embedding_bag_collection
            ),
            "hidden_layer_size": self.dense_arch.model.layer_sizes[0],
            "deep_fm_dimension": self.inter_arch.deep_fm_dimension,
        }
