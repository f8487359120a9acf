"""Pooled vectors of two levels, in place of the lookups of a model."""

import tensorflow as tf

from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.embeddings.find_tables import tables_in
from tfrec_models.embeddings.lookup import pooled_lookup, store_of
from tfrec_models.embeddings.table_rows import DecodedRows
from tfrec_models.sparse.inputs import SparseFeatures


class PooledRows(DecodedRows):
    """The vectors that bags were pooled to, read as the rows of bags of one id.

    Args:
        pooled: tensor `(B, C, D)`, for each example and column of a stack.
    """

    def __init__(self, pooled):
        super().__init__(pooled.dtype)
        self._pooled = pooled

    def read_rows(self, rows):
        """Returns the vectors; `rows`, `(B, C)`, are those of ids that stand for nothing."""
        return self._pooled


def check_is_pooled(model):
    """Raises ValueError if a model has tables that are not looked up bag by bag."""
    others = [layer.name for layer in tables_in(model) if not _is_pooled(layer)]
    if others:
        raise ValueError(
            f"{type(model).__name__} looks ids up without pooling them, in {others}: an export "
            "with request_features needs an EmbeddingBagCollection. Leave request_features out."
        )


def pooled_rows(model, levels, request_bags, candidate_bags, request_of):
    """Looks the bags of both levels up, each once, and repeats those of requests.

    Args:
        model: a built `RankingModel`.
        levels: `Levels`.
        request_bags, candidate_bags: `KeyedJaggedTensor` of the features of each level, of R
            requests and C candidates.
        request_of: int tensor `(C,)`, the request of each candidate.

    Returns:
        A dict from `TableStack` to `PooledRows` of C examples, for `Execution.rows`.
    """
    rows = {}
    for layer in tables_in(model):
        for stack, variable in zip(layer.table_stacks, layer.table_variables, strict=True):
            store, parts, columns = store_of(variable.value, stack), [], []
            for level, bags in ((levels.request, request_bags), (levels.candidate, candidate_bags)):
                part, numbers = _columns_of(stack, level.features)
                if not numbers:
                    continue
                bags = SparseFeatures(bags, level.features, layer.is_weighted)
                bags = bags.select(part.feature_names)
                pooled = pooled_lookup(variable.value, part, bags, training=False, store=store)
                if level is levels.request:
                    pooled = tf.gather(pooled, request_of)
                parts.append(pooled)
                columns += numbers
            pooled = tf.concat(parts, 1)
            if columns != sorted(columns):
                order = [columns.index(number) for number in range(len(columns))]
                pooled = tf.gather(pooled, order, axis=1)
            rows[stack] = PooledRows(pooled)
    return rows


def _columns_of(stack, features):
    """The stack with the columns of some features alone, and their numbers in it."""
    numbers = [n for n, feature in enumerate(stack.feature_names) if feature in features]
    return stack.with_features(features), numbers


def _is_pooled(layer):
    return isinstance(layer, EmbeddingBagCollection)
