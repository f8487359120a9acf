"""State of rows that belong to another id than before."""

import tensorflow as tf


class ReusedRows:
    """Which rows of the tables of an optimizer have changed their id since their last update.

    Args:
        variables: list of the model's variables. Those of tables with managed ids have
            `reused_rows`, a bool variable with an element for each row; it is the model's, and so
            kept out of Keras's sight, who would count it among the optimizer's.
    """

    def __init__(self, variables):
        self._flags = [getattr(variable, "reused_rows", None) for variable in variables]

    def are_in(self, index):
        """Whether rows of a variable may change their id."""
        return self._flags[index] is not None

    def reset(self, index, slots, rows):
        """Sets the slots of rows that did to their initial values, once.

        Args:
            index: int, the number of the variable.
            slots: list of (`tf.Variable`, initial value), those of the variable.
            rows: int tensor (n,), the rows that are about to be updated.
        """
        flags = self._flags[index].value
        rows = tf.boolean_mask(rows, tf.gather(flags, rows))
        for slot, initial_value in slots:
            shape = tf.concat([tf.shape(rows), slot.shape[1:]], axis=0)
            slot.scatter_update(tf.IndexedSlices(tf.fill(shape, initial_value), rows))
        flags.scatter_update(tf.IndexedSlices(tf.zeros_like(rows, tf.bool), rows))
