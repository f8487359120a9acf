"""Lookup and pooling of bags by TensorFlow's own operations."""

import tensorflow as tf

from tfrec_models.embeddings.gather_single import gather_single
from tfrec_models.embeddings.id_policy import DROPPED
from tfrec_models.embeddings.pooling_type import PoolingType
from tfrec_models.embeddings.resolve_ids import resolve_rows


def pool_stock(store, stack, bags):
    """Reads the rows in use, each once, and pools them bag by bag.

    These are the operations of `tf.nn.safe_embedding_lookup_sparse`, with its results. The function
    itself is not called, because Grappler's SimplifyEmbeddingLookup turns what it makes,
    `Unique -> ResourceGather -> SparseSegmentSum`, into a read of the whole table, which is copied
    at every step once the table has had a sparse update.

    Args:
        store: `VariableRows` or `DecodedRows`.
        stack: `TableStack`.
        bags: `BagBatch` of any lengths.

    Returns:
        Tensor of shape `(B, C, embedding_dim)` in the dtype of the rows.
    """
    rows, bag_of_id, weights = resolve_rows(stack, bags), bags.bag_of_id(), bags.weights
    if stack.drops_ids:
        kept = rows != DROPPED
        rows, bag_of_id = tf.boolean_mask(rows, kept), tf.boolean_mask(bag_of_id, kept)
        weights = None if weights is None else tf.boolean_mask(weights, kept)
    used, position = tf.unique(rows)
    # The maximum changes nothing; it keeps `Unique` and the gather apart for Grappler.
    read = store.read_rows(tf.maximum(used, 0))
    if weights is None:
        is_mean = stack.pooling is PoolingType.MEAN
        pool = tf.sparse.segment_mean if is_mean else tf.sparse.segment_sum
        pooled = pool(read, position, bag_of_id, num_segments=bags.num_bags)
    else:
        weighted = tf.gather(read, position) * tf.cast(weights, read.dtype)[:, tf.newaxis]
        pooled = tf.math.unsorted_segment_sum(weighted, bag_of_id, bags.num_bags)
    return bags.arrange(tf.ensure_shape(pooled, [None, stack.embedding_dim]))


def pool_or_gather(store, stack, bags):
    """Pools; where every bag holds one id it gathers, which gives the same in half the time.

    Not for training: the gradient of a branch is dense, the size of the table.
    """
    if not bags.may_be_single():
        return pool_stock(store, stack, bags)
    return tf.cond(
        tf.reduce_all(tf.equal(bags.lengths(), 1)),
        lambda: gather_single(store, stack, bags.as_single()),
        lambda: pool_stock(store, stack, bags),
    )
