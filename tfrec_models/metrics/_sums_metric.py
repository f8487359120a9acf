"""Base class of metrics that are a function of a few sums."""

import math

import tensorflow as tf

from tfrec_models._checks.assertions import checked
from tfrec_models.metrics._binary_metric import BinaryMetric
from tfrec_models.metrics._examples import examples

# As many as TorchRec keeps (`MAX_BUFFER_COUNT`).
MAX_UPDATES = 1000


class SumsMetric(BinaryMetric):
    """Base of metrics whose value follows from sums over examples.

    A subclass has `num_sums`, and gives `summands` and `value`. States are float64 and add up:
    over replicas, over workers, and in `merge_state`.

    With a window the state is one row for each of the latest updates, the newest first: its number
    of examples and its sums. Rows of zeros have left the window.
    """

    num_sums: int

    def __init__(self, from_logits=False, window=None, name=None, dtype=None):
        super().__init__(from_logits=from_logits, window=window, name=name, dtype=dtype)
        shape = (self.num_sums,) if window is None else (MAX_UPDATES, 1 + self.num_sums)
        self.sums = self.add_variable(shape, "zeros", dtype="float64", name="sums")

    def summands(self, labels, probabilities, weights):
        """Returns the terms of each sum, float64 of shape `(num_sums, batch)`."""
        raise NotImplementedError

    def value(self, sums):
        """Returns the metric as float64, from a list of `num_sums` sums."""
        raise NotImplementedError

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: labels, 0 or 1, `(batch,)` or `(batch, 1)`.
            y_pred: scores, of either shape.
            sample_weight: weights of at least 0, of either shape or one for all; 1 if None.
        """
        labels, scores, weights = examples(self, y_true, y_pred, sample_weight)
        scores = tf.cast(scores, tf.float64)
        probabilities = tf.sigmoid(scores) if self.from_logits else scores
        added = tf.reduce_sum(self.summands(labels, probabilities, weights), axis=1)
        if self.window is None:
            self.sums.assign(self.sums + added)
            return
        # As in TorchRec, each replica has an equal part of the window.
        window = math.ceil(self.window / self.num_replicas)
        size = checked(
            tf.size(labels),
            tf.size(labels) <= window,
            f"{type(self).__name__}: window / replicas = {window} must be at least the number of "
            "examples in a batch, received:",
            tf.size(labels),
        )
        row = tf.concat([[tf.cast(size, tf.float64)], added], axis=0)
        rows = tf.concat([row[tf.newaxis], self.sums[:-1]], axis=0)
        inside = tf.cumsum(rows[:, 0]) <= window
        self.sums.assign(tf.where(inside[:, tf.newaxis], rows, tf.zeros_like(rows)))

    def result(self):
        """Returns the value as a scalar of the metric's dtype."""
        sums = tf.convert_to_tensor(self.sums)
        if self.window is not None:
            sums = tf.reduce_sum(sums, axis=0)[1:]
        return tf.cast(self.value(tf.unstack(sums)), self.dtype)
