"""Pooled vectors of two levels, in place of the lookups of a model."""

import tensorflow as tf

from tfrec_models._two_levels import TwoLevels
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


def pooled_levels(model, levels, request_bags, candidate_bags, num_requests, request_of):
    """Looks the bags of both levels up, each once.

    Args:
        model: a built `RankingModel`.
        levels: `Levels`.
        request_bags, candidate_bags: `KeyedJaggedTensor` of the features of each level, of R
            requests and C candidates; None for a level without features.
        num_requests: int scalar, R.
        request_of: int tensor `(C,)`, the request of each candidate.

    Returns:
        A dict from `TableStack` to `TwoLevels` of its columns.
    """
    pooled = {}
    for layer in tables_in(model):
        for stack, variable in zip(layer.table_stacks, layer.table_variables, strict=True):
            store, parts, columns = store_of(variable.value, stack), [], []
            for level, bags, rows in (
                (levels.request, request_bags, num_requests),
                (levels.candidate, candidate_bags, tf.size(request_of)),
            ):
                part, numbers = _columns_of(stack, level.features)
                if numbers:
                    bags = SparseFeatures(bags, level.features, layer.is_weighted)
                    bags = bags.select(part.feature_names)
                    parts.append(pooled_lookup(variable.value, part, bags, False, store))
                else:
                    parts.append(tf.zeros([rows, 0, stack.embedding_dim], variable.dtype))
                columns.append(numbers)
            pooled[stack] = TwoLevels(*parts, *columns, request_of)
    return pooled


def embeddings_of(layer, pooled):
    """Returns the pooled vectors of a collection in table order, as `TwoLevels`.

    Args:
        layer: `EmbeddingBagCollection`.
        pooled: what `pooled_levels` returned.
    """
    order = [(name, table.name) for table in layer.tables for name in table.feature_names]
    request, candidate, columns = [], [], ([], [])
    for stack in layer.table_stacks:
        vectors = pooled[stack].map(lambda part: tf.cast(part, layer.compute_dtype))
        request.append(vectors.request)
        candidate.append(vectors.candidate)
        places = [order.index((name, table.name)) for name, table in stack.columns]
        columns[0].extend(places[number] for number in vectors.request_columns)
        columns[1].extend(places[number] for number in vectors.candidate_columns)
    return TwoLevels(tf.concat(request, 1), tf.concat(candidate, 1), *columns, vectors.request_of)


def _columns_of(stack, features):
    """The stack with the columns of some features alone, and their numbers in it."""
    numbers = [n for n, feature in enumerate(stack.feature_names) if feature in features]
    return stack.with_features(features), numbers


def _is_pooled(layer):
    return isinstance(layer, EmbeddingBagCollection)
