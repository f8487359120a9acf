"""Lookup of bags of exactly one id: a gather."""

import tensorflow as tf

from tfrec_models.embeddings.id_policy import DROPPED
from tfrec_models.embeddings.resolve_ids import resolve_rows


def gather_single(store, stack, bags):
    """Reads one row a bag.

    Args:
        store: `VariableRows` or `DecodedRows`.
        stack: `TableStack`.
        bags: `BagBatch` of one id a bag.

    Returns:
        Tensor of shape `(B, C, embedding_dim)` in the dtype of the rows.
    """
    rows, weights = resolve_rows(stack, bags), bags.weights
    if not stack.drops_ids:
        return _weighted(store.read_rows(rows), weights)
    # Row 0 belongs to no table. A dropped id's weight is left out before it is multiplied with,
    # so that one that is not a number reaches neither the output nor a gradient.
    kept = rows != DROPPED
    embeddings = store.read_rows(tf.where(kept, rows, 0))
    if weights is not None:
        embeddings = _weighted(embeddings, tf.where(kept, weights, 0))
    return tf.where(kept[:, :, tf.newaxis], embeddings, 0)


def _weighted(embeddings, weights):
    if weights is None:
        return embeddings
    return embeddings * tf.cast(weights, embeddings.dtype)[:, :, tf.newaxis]
