"""Summing the repeated rows of a sparse gradient."""

import tensorflow as tf

from tfrec_models._rows.unique_rows import UniqueRows

_INT32_ROWS = 2**31
# The name that a lookup gives to an operation whose result has no repeats.
DISTINCT_ROWS = "tfrec_distinct_rows"


def sum_repeated_rows(gradient, num_rows, dtype):
    """Sums the repeated rows of a sparse gradient.

    Args:
        gradient: `tf.IndexedSlices`, rows in any order and any number of times.
        num_rows: Int, the number of rows of the table.
        dtype: The type to sum in, float32 for tables of lower precision.

    Returns:
        `UniqueRows` of type `dtype`.
    """
    values = tf.cast(gradient.values, dtype)
    if isinstance(gradient, UniqueRows) or _are_distinct(gradient.indices):
        return UniqueRows(values, gradient.indices, gradient.dense_shape)
    indices = gradient.indices
    if num_rows < _INT32_ROWS:
        # Twice as fast; the lookup that made the gradient has already bounded the ids.
        indices = tf.cast(indices, tf.int32)
    rows, position = tf.unique(indices)
    total = tf.math.unsorted_segment_sum(values, position, tf.size(rows))
    return UniqueRows(total, rows, gradient.dense_shape)


def _are_distinct(rows):
    """Whether rows of a graph are those of a lookup that reads each once, in their order.

    The gradient of a gather names the rows that were gathered, in another shape.
    """
    if not hasattr(rows, "graph"):
        # A value, not a tensor of a graph.
        return False
    op = rows.op
    while op.type in ("Identity", "Reshape"):
        op = op.inputs[0].op
    return op.name.rpartition("/")[2].startswith(DISTINCT_ROWS)
