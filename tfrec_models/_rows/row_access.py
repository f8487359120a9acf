"""Reading and writing the rows of a table that one step touches.

No table is read whole where `rows` are given: after its first row-wise access TensorFlow copies it
for every dense read.
"""

import tensorflow as tf


def read_rows(variable, rows, dtype):
    """Returns the rows of these distinct numbers, or all for None."""
    value = tf.convert_to_tensor(variable) if rows is None else tf.gather(variable, rows)
    return tf.cast(value, dtype)


def write_rows(variable, rows, values):
    """Writes the rows of these distinct numbers, or all for None.

    Writing whole rows is several times faster on a CPU than `scatter_sub`, which goes through the
    elements of each row one by one; so optimizers' rules give new rows, not differences.
    """
    values = tf.cast(values, variable.dtype)
    if rows is None:
        written = variable.assign(values)
    else:
        written = variable.scatter_update(tf.IndexedSlices(values, rows))
    return None if tf.executing_eagerly() else getattr(written, "op", written)
