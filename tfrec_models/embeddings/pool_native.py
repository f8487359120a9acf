"""Lookup and pooling of bags by the native kernels, on CPUs."""

import tensorflow as tf

from tfrec_models.embeddings.manage_ids import with_found_rows
from tfrec_models.embeddings.pooling_type import PoolingType
from tfrec_models.embeddings.resolve_ids import refuse_id
from tfrec_models.native.lookup import pool_rows, resolve_ids


def pool_native(store, stack, bags):
    """Resolves ids in one pass, and reads and pools rows in another.

    Args:
        store: `VariableRows` of a variable that the kernels serve.
        stack: `TableStack`.
        bags: `BagBatch` of any lengths.

    Returns:
        Tensor of shape `(B, C, embedding_dim)` in the dtype of the rows.
    """
    bags = with_found_rows(stack, bags)
    tables = stack.column_tables
    row_splits = tf.cast(bags.row_splits, tf.int64)
    rows, refused = resolve_ids(
        bags.ids,
        row_splits,
        stack.index_dtype,
        by_example=bags.by_example,
        num_ids=[table.num_embeddings for table in tables],
        first_rows=stack.column_first_rows,
        policies=[table.row_policy for table in tables],
    )
    if any(table.row_policy == "error" for table in tables):
        rows = tf.cond(refused < 0, lambda: rows, lambda: refuse_id(stack, bags, refused, rows))
    # The kernel writes each bag's vector where `arrange` would put it.
    pooled = pool_rows(
        store.variable,
        rows,
        row_splits,
        bags.weights,
        mean=stack.pooling is PoolingType.MEAN,
        num_features=1 if bags.by_example else bags.num_columns,
    )
    return tf.reshape(pooled, [-1, bags.num_columns, stack.embedding_dim])


def equals_stock(store, bags):
    """Whether the kernels give the bits of TensorFlow's operations, in whose order they sum.

    Weighted rows are rounded before they are added there, and not by every processor here.

    Args:
        store: `VariableRows`.
        bags: `BagBatch`.
    """
    return store.dtype == tf.float32 and bags.weights is None
