"""Pooled embeddings for many features, from tables that share variables."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models.embeddings.embedding_bag_config import EmbeddingBagConfig
from tfrec_models.embeddings.embedding_tables import EmbeddingTables
from tfrec_models.embeddings.lookup import pooled_lookup
from tfrec_models.embeddings.pooling_type import PoolingType
from tfrec_models.sparse.inputs import SparseFeatures
from tfrec_models.sparse.keyed_tensor import KeyedTensor


@keras.saving.register_keras_serializable("tfrec_models")
class EmbeddingBagCollection(EmbeddingTables):
    """Looks up the ids of each bag and pools their rows into one vector.

    TorchRec's sparse layer. Each table serves one or several features; tables of equal dim,
    pooling and dtype are kept in one variable and looked up in one call of
    `tf.nn.safe_embedding_lookup_sparse` (a plain gather where each bag is one id). An empty bag
    gives zeros.

    For a bag `i_1 .. i_n` with weights `w` (1 where there are none) and a table `W`:

        SUM:   w_1 W[i_1] + .. + w_n W[i_n]
        MEAN:  (W[i_1] + .. + W[i_n]) / n

    Args:
        tables: list of `EmbeddingBagConfig`.
        is_weighted: bool, whether each id comes with a weight. SUM pooling only, as in TorchRec.
        **kwargs: those of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        One of
        - a dict from feature to `tf.RaggedTensor` `(batch, None)` or id tensor `(batch,)` or
          `(batch, length)`,
        - packed in the order of `sparse_feature_names`: a `tf.RaggedTensor`
          `(batch, features, None)`, or an id tensor `(batch, features)` or
          `(batch, features, length)`,
        - a `KeyedJaggedTensor`, whose other keys are ignored.
        With weights, a `KeyedJaggedTensor` that has them or pairs (ids, weights) in place of ids.

    Output shape:
        A `KeyedTensor` with `(batch, embedding_dim)` columns for each of `embedding_names`, table
        by table: the feature's name, or `feature@table` for a feature looked up in several.

    Raises:
        ValueError: on no tables, equal table names, weights with MEAN pooling; at a call on
            missing or unknown features.
        TypeError: at a call on ids that are not integers.
        tf.errors.InvalidArgumentError: at a call on an id outside a table whose id_policy is
            "error".

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> ebc = EmbeddingBagCollection(
    ...     tables=[
    ...         EmbeddingBagConfig(
    ...             name="t1", embedding_dim=3, num_embeddings=10, feature_names=["f1"]
    ...         ),
    ...         EmbeddingBagConfig(
    ...             name="t2", embedding_dim=4, num_embeddings=10, feature_names=["f2"]
    ...         ),
    ...     ]
    ... )
    >>> pooled = ebc({"f1": tf.ragged.constant([[0, 1], []]), "f2": tf.constant([3, 4])})
    >>> pooled.keys()
    ['f1', 'f2']
    >>> pooled["f2"].shape
    TensorShape([2, 4])
    >>> ebc.read_table("t1").shape
    TensorShape([10, 3])
    """

    config_class = EmbeddingBagConfig

    def __init__(self, tables: Sequence[Any], is_weighted: bool = False, **kwargs: Any) -> None:
        super().__init__(tables, **kwargs)
        _check_weighted_pooling(self.tables, is_weighted)
        self.is_weighted = is_weighted

    def embedding_bag_configs(self) -> list[EmbeddingBagConfig]:
        """Returns the tables' configs, in order."""
        return list(self.tables)

    def call(self, features, training=None):
        features = SparseFeatures(features, self.sparse_feature_names, self.is_weighted)
        pooled = [
            tf.cast(
                pooled_lookup(
                    variable.value,
                    stack,
                    features.select(stack.feature_names),
                    training=self._training_of(stack, training),
                ),
                self.compute_dtype,
            )
            for stack, variable in zip(self._stacks, self._variables, strict=True)
        ]
        if len(pooled) == 1:
            values = tf.reshape(pooled[0], [-1, sum(self.embedding_dims)])
        else:
            columns = [
                tf.unstack(embeddings, len(stack.columns), axis=1)
                for stack, embeddings in zip(self._stacks, pooled, strict=True)
            ]
            values = tf.concat(self._in_table_order(columns), axis=1)
        return KeyedTensor(self.embedding_names, self.embedding_dims, values)

    def compute_output_spec(self, features, training=None):
        values = keras.KerasTensor((None, sum(self.embedding_dims)), self.compute_dtype)
        return KeyedTensor(self.embedding_names, self.embedding_dims, values)

    def get_config(self):
        return {**super().get_config(), "is_weighted": self.is_weighted}


def _check_weighted_pooling(tables, is_weighted):
    averaged = [table.name for table in tables if table.pooling is PoolingType.MEAN]
    if is_weighted and averaged:
        raise ValueError(
            f"is_weighted=True goes with SUM pooling only, received MEAN for tables {averaged}. "
            "Use SUM with weights that add up to 1."
        )
