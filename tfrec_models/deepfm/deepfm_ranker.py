"""DeepFM as published."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_sizes
from tfrec_models.embeddings.base_sparse_arch import count_and_dim
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.embeddings.table_initializer import starting_within
from tfrec_models.layers.field_factorization_machine import FieldFactorizationMachine
from tfrec_models.layers.mlp import MLP
from tfrec_models.layers.perceptron import apply_linear, linear
from tfrec_models.ranking_model import RankingModel, with_equal_batch_sizes

# The standard deviation of the second-order term before training, of bags of one id.
SPREAD = 0.1


@keras.saving.register_keras_serializable("tfrec_models")
class DeepFMRanker(RankingModel):
    """DeepFM: a factorization machine and a deep net over the same embeddings, added up.

    Every sparse feature f has a pooled embedding v_f of its ids, and every dense feature j with
    value x_j the embedding x_j u_j:

        logit = b + sum of the ids' weights + a . x
                  + sum over pairs of embeddings of their dot products
                  + Linear(MLP(all embeddings side by side))

    The ids' first-order weights are tables of one column with the same rows, features, pooling and
    id policies as the embedding tables. Compile it with
    `keras.losses.BinaryCrossentropy(from_logits=True)`.

    First-order weights start at zero, and embeddings uniform within a bound small enough for the
    sum over all pairs to start near zero; tables with a start of their own, or built before, keep
    it.

    It is not TorchRec's `SimpleDeepFMNN`, which has no first-order term, one deep layer, and a
    second-order term over single numbers.

    Paper: Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction,
    https://arxiv.org/abs/1703.04247.

    Args:
        embedding_bag_collection: `EmbeddingBagCollection` whose tables all have the same
            embedding_dim D.
        dense_in_features: int, the number of dense features, 0 or more.
        deep_layer_sizes: list of at least one int, the layers of the MLP; a linear layer to one
            column follows.
        batch_normalization: bool, whether every layer of the MLP normalizes over the batch.
        dropout: float, the share of outputs of these layers that training sets to zero.
        **kwargs: those of `keras.Model`.

    Input shape:
        As `DLRM`.

    Output shape:
        `(batch, 1)`, logits.

    Raises:
        ValueError: on tables of unequal dims or sizes that are not positive; at a call on inputs
            that do not fit.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.deepfm import DeepFMRanker
    >>> model = DeepFMRanker(
    ...     embedding_bag_collection=EmbeddingBagCollection(
    ...         tables=[
    ...             EmbeddingBagConfig(
    ...                 name="t1", embedding_dim=8, num_embeddings=100, feature_names=["f1", "f2"]
    ...             )
    ...         ]
    ...     ),
    ...     dense_in_features=3,
    ...     deep_layer_sizes=[16, 16],
    ... )
    >>> logits = model(
    ...     dense_features=tf.random.uniform((2, 3)),
    ...     sparse_features={"f1": tf.ragged.constant([[1, 2], []]), "f2": tf.constant([5, 4])},
    ... )
    >>> logits.shape
    TensorShape([2, 1])
    """

    def __init__(
        self,
        embedding_bag_collection: EmbeddingBagCollection,
        dense_in_features: int,
        deep_layer_sizes: Sequence[int],
        batch_normalization: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(dense_in_features, **kwargs)
        deep_layer_sizes = check_sizes("deep_layer_sizes", deep_layer_sizes)
        if not deep_layer_sizes:
            raise ValueError("deep_layer_sizes needs at least one size, received [].")
        self.num_sparse_features, self.embedding_dim = count_and_dim(embedding_bag_collection)
        policy = self.dtype_policy
        self.embedding_bag_collection = embedding_bag_collection
        self.first_order = EmbeddingBagCollection(
            [
                dataclasses.replace(
                    table,
                    embedding_dim=1,
                    weight_init_min=None,
                    weight_init_max=None,
                    init_fn="zeros",
                )
                for table in embedding_bag_collection.tables
            ],
            is_weighted=embedding_bag_collection.is_weighted,
            dtype=policy,
            name="first_order",
        )
        self.dense_first_order = keras.layers.Dense(
            1, kernel_initializer="zeros", name="dense_first_order", dtype=policy
        )
        self.fm = FieldFactorizationMachine(dtype=policy, name="fm")
        num_fields = dense_in_features + self.num_sparse_features
        self.deep = MLP(
            num_fields * self.embedding_dim,
            deep_layer_sizes,
            batch_normalization=batch_normalization,
            dropout=dropout,
            dtype=policy,
            name="deep",
        )
        self.deep_head = linear(deep_layer_sizes[-1], 1, bias=False, name="deep_head", dtype=policy)

    @property
    def num_outputs(self) -> int:
        return 1

    @property
    def _start(self):
        """The bound b of embeddings uniform in ±b whose second-order term starts at ±SPREAD.

        Every pair of fields adds D products of variance b^4 / 9.
        """
        fields = self.dense_in_features + self.num_sparse_features
        products = max(math.comb(fields, 2), 1) * self.embedding_dim
        return (9 * SPREAD**2 / products) ** 0.25

    def build(self, input_shape=None):
        if self.built:
            return
        self.dense_embeddings = self.add_weight(
            name="dense_embeddings",
            shape=(self.dense_in_features, self.embedding_dim),
            initializer=keras.initializers.RandomUniform(-self._start, self._start),
        )
        with starting_within(self._start):
            self.embedding_bag_collection.build()
        for layer in (self.first_order, self.fm, self.deep):
            if not layer.built:
                layer.build()
        self.dense_first_order.build((None, self.dense_in_features))
        self.deep_head.build((None, self.deep.layer_sizes[-1]))
        self.built = True

    def rank(self, dense_features, sparse_features):
        pooled = self.embedding_bag_collection(sparse_features).values()
        pooled = with_equal_batch_sizes(pooled, dense_features)
        dense_features = keras.ops.cast(dense_features, self.compute_dtype)
        fields = keras.ops.concatenate(
            [
                dense_features[:, :, None] * self.dense_embeddings,
                keras.ops.reshape(pooled, (-1, self.num_sparse_features, self.embedding_dim)),
            ],
            axis=1,
        )
        weights = self.first_order(sparse_features).values()
        first_order = keras.ops.sum(weights, axis=1, keepdims=True)
        deep = self.deep(keras.ops.reshape(fields, (-1, self.deep.in_size)))
        # One op: TensorFlow reorders a chain of additions differently from graph to graph, and an
        # export would differ from `predict` in the last bit.
        return tf.add_n(
            [
                apply_linear(self.dense_first_order, dense_features),
                first_order,
                self.fm(fields),
                self.deep_head(deep),
            ]
        )

    def get_config(self):
        return {
            **super().get_config(),
            "embedding_bag_collection": keras.saving.serialize_keras_object(
                self.embedding_bag_collection
            ),
            "dense_in_features": self.dense_in_features,
            "deep_layer_sizes": self.deep.layer_sizes,
            "batch_normalization": self.deep.batch_normalization,
            "dropout": self.deep.dropout,
        }
