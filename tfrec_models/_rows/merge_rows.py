"""Reading, merging and writing the rows of a table that one step touches."""

import tensorflow as tf

from tfrec_models._rows.merged_rows import MergedRows

_INT32_ROWS = 2**31


def merge_rows(gradient, num_rows, dtype):
    """Sums the repeated rows of a sparse gradient.

    Args:
        gradient: `tf.IndexedSlices`, rows in any order and any number of times.
        num_rows: Int, the number of rows of the table.
        dtype: The type to sum in, float32 for tables of lower precision.

    Returns:
        `MergedRows` of type `dtype`.
    """
    values = tf.cast(gradient.values, dtype)
    if isinstance(gradient, MergedRows):
        return MergedRows(values, gradient.indices, gradient.dense_shape)
    indices = gradient.indices
    if num_rows < _INT32_ROWS:
        # Twice as fast; the lookup that made the gradient has already bounded the ids.
        indices = tf.cast(indices, tf.int32)
    rows, position = tf.unique(indices)
    total = tf.math.unsorted_segment_sum(values, position, tf.size(rows))
    return MergedRows(total, rows, gradient.dense_shape)


# In the functions below `rows` are distinct row numbers, or None for the whole variable. No table
# is read whole when `rows` are given: after its first row-wise access TensorFlow copies it for
# every dense read.


def read_rows(variable, rows, dtype):
    value = tf.convert_to_tensor(variable) if rows is None else tf.gather(variable, rows)
    return tf.cast(value, dtype)


# Writing whole rows is several times faster on a CPU than `scatter_sub`, which goes through the
# elements of each row by itself; so rules give new rows, not differences.


def write_rows(variable, rows, values):
    values = tf.cast(values, variable.dtype)
    if rows is None:
        written = variable.assign(values)
    else:
        written = variable.scatter_update(tf.IndexedSlices(values, rows))
    return None if tf.executing_eagerly() else getattr(written, "op", written)
