"""IndexedSlices with unique indices."""

import tensorflow as tf


class UniqueRows(tf.IndexedSlices):
    """A sparse gradient with unique indices: repeated rows have been summed.

    `sum_repeated_rows` makes it and returns one as it is. Joining the gradients of several replicas
    gives a plain `tf.IndexedSlices` again, whose indices may repeat.
    """

    def __truediv__(self, divisor):
        # Keras divides gradients by `loss_scale_factor` with the plain operator, which
        # tf.IndexedSlices lacks.
        return UniqueRows(self.values / divisor, self.indices, self.dense_shape)
