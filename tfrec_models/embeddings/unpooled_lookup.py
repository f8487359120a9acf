"""Lookup of one row for each id, with the bags kept apart."""

import tensorflow as tf

from tfrec_models.embeddings.id_policy import DROPPED
from tfrec_models.embeddings.lookup import store_of
from tfrec_models.embeddings.manage_ids import with_admitted_rows
from tfrec_models.embeddings.resolve_ids import resolve_rows
from tfrec_models.sparse.bag_batch import BagBatch


def unpooled_lookup(variable, stack, bags, training=None):
    """Looks up one row for each id of all columns of one table stack.

    Args:
        variable: `tf.Variable` of shape `(stack.num_rows, stack.embedding_dim)`.
        stack: `TableStack`, where each table lies in the variable.
        bags: `BagBatch` of the stack's columns.
        training: bool or None, as in a call of a Keras layer.

    Returns:
        A list with (rows, row_splits) for each column: tensors (ids of the column, embedding_dim)
        in the dtype of the rows, and (B + 1,). Ids that a table drops have no row.
    """
    columns = len(stack.columns)
    ragged = bags.by_column()
    bags = BagBatch.of_splits(ragged.values, None, ragged.row_splits, columns, by_example=False)
    if training:
        bags = with_admitted_rows(variable, stack, bags)
    rows, row_splits = resolve_rows(stack, bags), bags.row_splits
    if stack.drops_ids:
        kept = rows != DROPPED
        kept_before = tf.concat([[0], tf.cumsum(tf.cast(kept, row_splits.dtype))], 0)
        row_splits = tf.gather(kept_before, row_splits)
        rows = tf.boolean_mask(rows, kept)
    column_splits = tf.gather(row_splits, tf.range(columns + 1) * bags.batch_size)
    embeddings = tf.split(
        store_of(variable, stack).read_rows(rows),
        column_splits[1:] - column_splits[:-1],
        num=columns,
    )
    starts = tf.reshape(row_splits[:-1], [columns, -1])
    by_column = tf.concat([starts, column_splits[1:, tf.newaxis]], 1) - column_splits[:-1, None]
    return list(zip(embeddings, tf.unstack(by_column, columns), strict=True))
