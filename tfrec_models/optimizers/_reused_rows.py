"""State of rows that belong to another id than before."""

import tensorflow as tf


def reset_reused(reused, slots, rows):
    """Sets the slots of rows that changed their id to their initial values, once.

    Args:
        reused: `tf.Variable` bool (num_rows,), which rows have changed their id since.
        slots: list of (`tf.Variable`, initial value), those of the table.
        rows: int tensor (n,), the rows that are about to be updated.
    """
    rows = tf.boolean_mask(rows, tf.gather(reused, rows))
    for slot, initial_value in slots:
        shape = tf.concat([tf.shape(rows), slot.shape[1:]], axis=0)
        slot.scatter_update(tf.IndexedSlices(tf.fill(shape, initial_value), rows))
    reused.scatter_update(tf.IndexedSlices(tf.zeros_like(rows, tf.bool), rows))
