"""Embeddings for many features without pooling, from tables that share variables."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models.embeddings.embedding_config import EmbeddingConfig
from tfrec_models.embeddings.embedding_tables import EmbeddingTables
from tfrec_models.embeddings.unpooled_lookup import unpooled_lookup
from tfrec_models.sparse.inputs import SparseFeatures
from tfrec_models.sparse.jagged_tensor import JaggedTensor


@keras.saving.register_keras_serializable("tfrec_models")
class EmbeddingCollection(EmbeddingTables):
    """Looks up one row for each id, and keeps the bags apart.

    For models that attend over or pool a sequence of ids themselves. Tables are stacked in one
    variable and looked up in one call.

        rows of example b = W[i_1], .., W[i_n]  for its ids i_1 .. i_n

    Args:
        tables: list of `EmbeddingConfig` with equal embedding_dim and distinct names.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        What `EmbeddingBagCollection` takes, without weights.

    Output shape:
        A dict from each of `embedding_names` to a `JaggedTensor` with values
        `(number of ids, embedding_dim)` and the offsets of the ids' bags; `to_ragged()` makes it
        `(batch, None, embedding_dim)`.

    Raises:
        ValueError: on no tables, equal table names, unequal dims; at a call on missing or unknown
            features.
        TypeError: at a call on ids that are not integers.
        tf.errors.InvalidArgumentError: at a call on an id outside a table whose id_policy is
            "error".

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.layers import EmbeddingCollection, EmbeddingConfig
    >>> collection = EmbeddingCollection(
    ...     tables=[
    ...         EmbeddingConfig(
    ...             name="t1", embedding_dim=3, num_embeddings=10, feature_names=["f1", "f2"]
    ...         )
    ...     ]
    ... )
    >>> embeddings = collection({"f1": tf.ragged.constant([[0, 1], []]), "f2": tf.constant([3, 4])})
    >>> embeddings["f1"].values().shape, embeddings["f1"].lengths().numpy().tolist()
    (TensorShape([2, 3]), [2, 0])
    >>> embeddings["f2"].to_ragged().shape
    TensorShape([2, None, 3])
    """

    config_class = EmbeddingConfig

    def __init__(self, tables: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(tables, **kwargs)
        dims = {table.name: table.embedding_dim for table in self.tables}
        if len(set(dims.values())) > 1:
            raise ValueError(
                f"All EmbeddingConfigs must have the same embedding_dim, received {dims}. Put "
                "tables of another dim in a collection of their own."
            )

    def embedding_configs(self) -> list[EmbeddingConfig]:
        """Returns the tables' configs, in order."""
        return list(self.tables)

    def embedding_dim(self) -> int:
        """Returns the number of columns of every table."""
        return self.tables[0].embedding_dim

    def call(self, features, training=None):
        features = SparseFeatures(features, self.sparse_feature_names, is_weighted=False)
        by_stack = [
            unpooled_lookup(
                variable.value,
                stack,
                features.select(stack.feature_names),
                training=self._training_of(stack, training),
            )
            for stack, variable in zip(self._stacks, self._variables, strict=True)
        ]
        return {
            name: JaggedTensor(tf.cast(rows, self.compute_dtype), offsets=offsets)
            for name, (rows, offsets) in zip(
                self.embedding_names, self._in_table_order(by_stack), strict=True
            )
        }
