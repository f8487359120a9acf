"""Lookup of bags of exactly one id by the native kernels, on CPUs."""

import tensorflow as tf

from tfrec_models.embeddings.resolve_ids import resolve_rows
from tfrec_models.native.lookup import pool_rows


def gather_native(store, stack, bags):
    """Reads one row a bag, asking for the rows to come while it copies one.

    Args:
        store: `VariableRows` of a variable that the kernels serve.
        stack: `TableStack`.
        bags: `BagBatch` of one id a bag.

    Returns:
        Tensor of shape `(B, C, embedding_dim)` in the dtype of the rows.
    """
    rows, weights = resolve_rows(stack, bags), bags.weights
    embeddings = pool_rows(
        store.variable,
        tf.reshape(rows, [-1]),
        None,
        None if weights is None else tf.reshape(weights, [-1]),
    )
    shape = [-1 if size is None else size for size in rows.shape]
    return tf.reshape(embeddings, [*shape, stack.embedding_dim])
