"""The one place where embedding rows are looked up, and pooled or not."""

import tensorflow as tf

from tfrec_models import execution
from tfrec_models.embeddings.id_policy import DROPPED, apply_id_policies, refuse_id
from tfrec_models.embeddings.pooling_type import PoolingType
from tfrec_models.embeddings.table_rows import VariableRows
from tfrec_models.native.lookup import pool_rows, resolve_ids, serves
from tfrec_models.sparse.inputs import SingleIds

_COMBINERS = {PoolingType.SUM: "sum", PoolingType.MEAN: "mean"}


def pooled_lookup(variable, stack, bags, training=False):
    """Looks up and pools the bags of all columns of one table stack.

    Args:
        variable: `tf.Variable` of shape `(stack.num_rows, stack.embedding_dim)`.
        stack: `TableStack`, where each table lies in the variable.
        bags: `SingleIds` or `Bags` of the stack's columns.
        training: bool, whether the lookup is part of a training step, which may use the kernels.

    Returns:
        Tensor of shape `(B, C, embedding_dim)` in the dtype of the rows.
    """
    table = _rows_of(variable, stack)
    if isinstance(bags, SingleIds):
        return _gather_single(table, stack, bags)
    if training and isinstance(table, VariableRows) and serves(variable):
        return _pool_natively(variable, stack, bags)
    if execution.current().portable:
        return _pool_or_gather(table, stack, bags)
    return _pool_bags(table, stack, bags)


def unpooled_lookup(variable, stack, bags):
    """Looks up one row for each id of all columns of one table stack.

    Args:
        variable: `tf.Variable` of shape `(stack.num_rows, stack.embedding_dim)`.
        stack: `TableStack`, where each table lies in the variable.
        bags: `SingleIds` or `Bags` of the stack's columns.

    Returns:
        A list with (rows, row_splits) for each column: tensors (ids of the column, embedding_dim)
        in the dtype of the rows, and (B + 1,). Ids that a table drops have no row.
    """
    columns = len(stack.columns)
    ragged = _by_column(bags, columns)
    column_splits = tf.gather(
        ragged.row_splits, tf.range(columns + 1) * (tf.cast(ragged.nrows(), tf.int32) // columns)
    )
    column_of_id = _bag_of_id(column_splits, tf.size(ragged.values))
    splits = tf.reshape(ragged.row_splits[:-1], [columns, -1])

    def rows(numbers, dtype):
        return tf.gather(tf.constant(numbers, dtype), column_of_id)

    def locate(position):
        column = tf.cast(tf.gather(column_of_id, position), tf.int64)
        starts = tf.gather(splits, column)
        return tf.reduce_sum(tf.cast(starts <= position, tf.int64)) - 1, column

    ids = _settle(stack, ragged.values, rows, locate)
    shifted = ids + rows(stack.column_first_rows, stack.index_dtype)
    row_splits = ragged.row_splits
    if any(table.id_policy == "drop" for table in stack.tables):
        kept = ids != DROPPED
        kept_before = tf.concat([[0], tf.cumsum(tf.cast(kept, row_splits.dtype))], 0)
        row_splits, column_splits = (
            tf.gather(kept_before, splits) for splits in (row_splits, column_splits)
        )
        shifted = tf.boolean_mask(shifted, kept)
    embeddings = tf.split(
        _rows_of(variable, stack).read_rows(shifted),
        column_splits[1:] - column_splits[:-1],
        num=columns,
    )
    starts = tf.reshape(row_splits[:-1], [columns, -1])
    by_column = tf.concat([starts, column_splits[1:, tf.newaxis]], 1) - column_splits[:-1, None]
    return list(zip(embeddings, tf.unstack(by_column, columns), strict=True))


def _rows_of(variable, stack):
    """The rows to look up: those of the variable, unless the stack reads others."""
    return execution.current().rows.get(stack) or VariableRows(variable)


def _by_column(bags, columns):
    """The ids as a RaggedTensor of all bags, column by column."""
    if isinstance(bags, SingleIds):
        ids = tf.reshape(tf.transpose(bags.ids), [-1, 1])
        return tf.RaggedTensor.from_tensor(ids)
    ragged = tf.RaggedTensor.from_row_splits(bags.ids, bags.row_splits, validate=False)
    if not bags.by_example:
        return ragged
    order = tf.reshape(tf.range(ragged.nrows()), [-1, columns])
    return tf.gather(ragged, tf.reshape(tf.transpose(order), [-1]))


def _gather_single(table, stack, bags):
    columns = len(stack.columns)
    ids = _settle(
        stack,
        bags.ids,
        rows=lambda numbers, dtype: tf.constant([numbers], dtype),
        locate=lambda position: (position // columns, position % columns),
    )
    kept = ids != DROPPED
    drops = any(table.id_policy == "drop" for table in stack.tables)
    rows = ids + tf.constant([stack.column_first_rows], stack.index_dtype)
    embeddings = table.read_rows(tf.where(kept, rows, 0) if drops else rows)
    if bags.weights is not None:
        embeddings *= tf.cast(bags.weights, table.dtype)[:, :, tf.newaxis]
    if drops:
        embeddings = tf.where(kept[:, :, tf.newaxis], embeddings, 0)
    return embeddings


def _pool_or_gather(table, stack, bags):
    """Pools; where every bag holds one id it gathers, which gives the same in half the time.

    Not in training: the gradient of a branch is dense, the size of the table.
    """
    columns = len(stack.columns)
    num_ids, num_splits = bags.ids.shape[0], bags.row_splits.shape[0]
    if num_ids is not None and (num_ids % columns or num_splits not in (None, num_ids + 1)):
        # Known not to be one a bag; the branch that gathers could not even be traced.
        return _pool_bags(table, stack, bags)

    def gather():
        def by_example(flat):
            if bags.by_example:
                return tf.reshape(flat, [-1, columns])
            return tf.transpose(tf.reshape(flat, [columns, -1]))

        weights = None if bags.weights is None else by_example(bags.weights)
        return _gather_single(table, stack, SingleIds(by_example(bags.ids), weights))

    lengths = bags.row_splits[1:] - bags.row_splits[:-1]
    every_bag_holds_one = tf.reduce_all(tf.equal(lengths, 1))
    return tf.cond(every_bag_holds_one, gather, lambda: _pool_bags(table, stack, bags))


def _pool_bags(table, stack, bags):
    columns = len(stack.columns)
    num_bags = tf.size(bags.row_splits, out_type=tf.int32) - 1
    batch_size = num_bags // columns
    bag_of_id = _bag_of_id(bags.row_splits, tf.size(bags.ids, out_type=tf.int32))

    def column_of(bag):
        if bags.by_example:
            return bag % columns
        return bag // tf.cast(tf.maximum(batch_size, 1), bag.dtype)

    def rows(numbers, dtype):
        if len(set(numbers)) == 1:
            return tf.constant(numbers[0], dtype)
        numbers = tf.constant(numbers, dtype)
        if bags.by_example:
            by_bag = tf.tile(numbers, [batch_size])
        else:
            by_bag = tf.reshape(tf.tile(numbers[:, tf.newaxis], [1, batch_size]), [-1])
        return tf.gather(by_bag, bag_of_id)

    def locate(position):
        bag = tf.cast(tf.gather(bag_of_id, position), tf.int64)
        column = column_of(bag)
        if bags.by_example:
            return bag // columns, column
        return bag - column * tf.cast(batch_size, tf.int64), column

    ids = _settle(stack, bags.ids, rows, locate)
    shifted = ids + rows(stack.column_first_rows, stack.index_dtype)
    if any(table.id_policy == "drop" for table in stack.tables):
        shifted = tf.where(ids == DROPPED, ids, shifted)
    weights = bags.weights
    # RaggedFillEmptyRows, inside, fails on no bags at all: an empty one stands in.
    num_rows = tf.maximum(num_bags, 1)
    if weights is not None:
        weights = _ragged(tf.cast(weights, table.dtype), bag_of_id, num_rows)
    rows_to_pool, shifted = table.rows_to_pool(shifted)
    pooled = tf.nn.safe_embedding_lookup_sparse(
        rows_to_pool,
        _ragged(shifted, bag_of_id, num_rows),
        weights,
        combiner=_COMBINERS[stack.pooling],
    )
    pooled = _without_stand_in(pooled, num_bags)
    if bags.by_example:
        return tf.reshape(pooled, [-1, columns, stack.embedding_dim])
    by_column = tf.reshape(pooled, [columns, batch_size, stack.embedding_dim])
    return tf.transpose(by_column, [1, 0, 2])


def _pool_natively(variable, stack, bags):
    columns, tables = len(stack.columns), stack.column_tables
    row_splits = tf.cast(bags.row_splits, tf.int64)

    def locate(position):
        bag = tf.reduce_sum(tf.cast(row_splits <= position, tf.int64)) - 1
        if bags.by_example:
            return bag // columns, bag % columns
        batch_size = (tf.size(row_splits, tf.int64) - 1) // columns
        return bag % batch_size, bag // batch_size

    rows, refused = resolve_ids(
        bags.ids,
        row_splits,
        stack.index_dtype,
        by_example=bags.by_example,
        num_ids=[table.num_embeddings for table in tables],
        first_rows=stack.column_first_rows,
        policies=[table.id_policy for table in tables],
    )
    if any(table.id_policy == "error" for table in tables):
        rows = tf.cond(
            refused < 0,
            lambda: rows,
            lambda: refuse_id(refused, bags.ids, rows, stack.feature_names, tables, locate),
        )
    pooled = pool_rows(
        variable,
        rows,
        row_splits,
        bags.weights,
        mean=stack.pooling is PoolingType.MEAN,
        num_features=1 if bags.by_example else columns,
    )
    return tf.reshape(pooled, [-1, columns, stack.embedding_dim])


def _settle(stack, ids, rows, locate):
    """Applies the tables' id policies and brings ids to the stack's index dtype."""
    tables = stack.column_tables
    if max(table.num_embeddings for table in tables) >= 2**31:
        ids = tf.cast(ids, tf.int64)
    settled = apply_id_policies(
        ids, lambda numbers: rows(numbers, ids.dtype), stack.feature_names, tables, locate
    )
    return tf.cast(settled, stack.index_dtype)


def _bag_of_id(row_splits, num_ids):
    """The bag each id lies in.

    A running sum of bag starts; `tf.repeat` and `value_rowids` lay out a mask of the longest bag
    for every bag, which costs five times as much when one feature's bags are long.
    """
    starts = tf.cast(row_splits[1:-1], tf.int32)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(starts), starts, num_ids + 1)
    return tf.cumsum(counts)[:-1]


@tf.custom_gradient
def _without_stand_in(pooled, num_bags):
    """The rows of the bags that there are.

    Where there are bags there is no stand-in, and the gradient is passed on as it is: that of a
    slice would be one more copy of it.
    """

    def gradient(upstream):
        return tf.cond(num_bags > 0, lambda: upstream, lambda: tf.zeros_like(pooled)), None

    return pooled[:num_bags], gradient


def _ragged(flat, bag_of_id, num_bags):
    return tf.RaggedTensor.from_value_rowids(
        flat,
        tf.cast(bag_of_id, tf.int64),
        nrows=tf.cast(num_bags, tf.int64),
        validate=False,
    )
