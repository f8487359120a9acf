"""IndexedSlices with unique indices."""

import tensorflow as tf


class MergedRows(tf.IndexedSlices):
    """A sparse gradient whose rows are distinct: repeats have been summed already.

    `merge_rows` of the optimizers makes it and passes it through untouched. Joining the gradients
    of several replicas gives a plain `tf.IndexedSlices` again, so the mark never outlives its
    truth.
    """

    def __truediv__(self, divisor):
        # Keras divides gradients by `loss_scale_factor` with the plain operator, which
        # tf.IndexedSlices lacks.
        return MergedRows(self.values / divisor, self.indices, self.dense_shape)
