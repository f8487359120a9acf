"""Lookup and pooling of bags by TensorFlow's own operations."""

import functools

import tensorflow as tf

from tfrec_models._compat.tensorflow import out_of_line
from tfrec_models._rows.sharding import is_sharded
from tfrec_models._rows.sum_repeated_rows import DISTINCT_ROWS
from tfrec_models.embeddings.gather_single import gather_single
from tfrec_models.embeddings.id_policy import DROPPED
from tfrec_models.embeddings.pooling_type import PoolingType
from tfrec_models.embeddings.resolve_ids import resolve_rows
from tfrec_models.embeddings.table_rows import VariableRows

# Ids of a block, on average: rows of 4 MB at 64 floats. A quarter and four times it take longer.
_BLOCK = 16_384
_BLOCKS_AT_ONCE = 4


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
    rows, bag_of_id, weights = _kept(stack, bags)
    used, position = tf.unique(rows)
    # The maximum changes nothing; it keeps `Unique` and the gather apart for Grappler.
    read = store.read_rows(tf.maximum(used, 0, name=DISTINCT_ROWS))
    pooled = _pool(stack, read, position, weights, bag_of_id, bags.num_bags)
    return bags.arrange(tf.ensure_shape(pooled, [None, stack.embedding_dim]))


def pool_in_blocks(store, stack, bags):
    """Reads the row of each id and pools, some thousand ids at a time; not for training.

    Gives the bits of `pool_stock` without its `Unique`, which one thread does. Several blocks are
    pooled at once, and the rows of these alone are in memory.

    Args:
        store, stack, bags: as in `pool_stock`.
    """
    rows, bag_of_id, weights = _kept(stack, bags)
    num_ids, num_bags = tf.size(rows), bags.num_bags

    def pool(rows, weights, bag_of_id, num_bags):
        return _pool(stack, store.read_rows(rows), None, weights, bag_of_id, num_bags)

    def pool_block(first, last, first_bag, num_bags):
        part = functools.partial(_part, first=first, last=last)
        of_ids = None if weights is None else part(weights)
        return pool(part(rows), of_ids, part(bag_of_id) - first_bag, num_bags)

    def pool_all():
        num_blocks = -(-num_ids // _BLOCK)
        # As many bags in each, the last filled up, so that they can be stacked.
        bags_a_block = -(-num_bags // num_blocks)
        lengths = tf.math.unsorted_segment_sum(tf.ones_like(bag_of_id), bag_of_id, num_bags)
        ends = tf.concat([[0], tf.cumsum(lengths)], axis=0)

        def add_block(i, blocks):
            first_bag = i * bags_a_block
            last_bag = tf.minimum(first_bag + bags_a_block, num_bags)
            block = pool_block(
                ends[tf.minimum(first_bag, num_bags)], ends[last_bag], first_bag, bags_a_block
            )
            return i + 1, blocks.write(i, block)

        blocks = tf.TensorArray(store.dtype, num_blocks, element_shape=[None, stack.embedding_dim])
        _, blocks = tf.while_loop(
            lambda i, _: i < num_blocks,
            add_block,
            (0, blocks),
            # By itself it changes nothing; converters to ONNX take the number of steps from it.
            maximum_iterations=num_blocks,
            parallel_iterations=_BLOCKS_AT_ONCE,
        )
        return tf.reshape(blocks.stack(), [-1, stack.embedding_dim])[:num_bags]

    pooled = tf.cond(
        num_ids <= _BLOCK,
        lambda: pool(rows, weights, bag_of_id, num_bags),
        out_of_line(pool_all),
    )
    return bags.arrange(tf.ensure_shape(pooled, [None, stack.embedding_dim]))


def _part(values, first, last):
    """Some of a vector, of which converters to other runtimes see that it is one."""
    return tf.ensure_shape(tf.slice(values, [first], [last - first]), [None])


def _kept(stack, bags):
    """The row, bag and weight of each id that is not dropped; weights are None without any."""
    rows, bag_of_id, weights = resolve_rows(stack, bags), bags.bag_of_id(), bags.weights
    if not stack.drops_ids:
        return rows, bag_of_id, weights
    kept = rows != DROPPED
    rows, bag_of_id = tf.boolean_mask(rows, kept), tf.boolean_mask(bag_of_id, kept)
    return rows, bag_of_id, None if weights is None else tf.boolean_mask(weights, kept)


def _pool(stack, read, position, weights, bag_of_id, num_bags):
    """Pools the rows at some positions of those read, or with None each in turn."""
    if weights is None:
        is_mean = stack.pooling is PoolingType.MEAN
        pool = tf.sparse.segment_mean if is_mean else tf.sparse.segment_sum
        position = tf.range(tf.shape(read)[0]) if position is None else position
        return pool(read, position, bag_of_id, num_segments=num_bags)
    rows = read if position is None else tf.gather(read, position)
    weighted = rows * tf.cast(weights, read.dtype)[:, tf.newaxis]
    return tf.math.unsorted_segment_sum(weighted, bag_of_id, num_bags)


def pool_or_gather(store, stack, bags):
    """Pools; where every bag holds one id it gathers, which gives the same in half the time.

    Not for training: the gradient of a branch is dense, the size of the table.
    """
    # Rows that are elsewhere are asked for once.
    is_elsewhere = isinstance(store, VariableRows) and is_sharded(store.variable)
    pool = pool_stock if is_elsewhere else pool_in_blocks
    if not bags.may_be_single():
        return pool(store, stack, bags)
    return tf.cond(
        tf.reduce_all(tf.equal(bags.lengths(), 1)),
        lambda: gather_single(store, stack, bags.as_single()),
        lambda: pool(store, stack, bags),
    )
