"""Area under the ROC curve without thresholds, in bounded memory."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.assertions import checked
from tfrec_models.metrics import _score_bins as score_bins
from tfrec_models.metrics._binary_metric import BinaryMetric
from tfrec_models.metrics._examples import examples

SIZE = 1 << 14
# The share of pairs whose order may be lost between two partitions.
TOLERANCE = 1e-4


@keras.saving.register_keras_serializable("tfrec_models")
class ExactAUC(BinaryMetric):
    """Area under the ROC curve, within 1e-4 whatever the scores, in bounded memory.

    `keras.metrics.AUC` counts at thresholds between 0 and 1, and is off by up to 0.5 where the
    scores lie between two of them: logits close to each other, rare clicks, large logits. Here
    the scores are compared as they are, in float32; logits need no sigmoid, which would make
    large ones equal. With labels y and weights w it is the weighted share of pairs of a
    positive and a negative in which the positive scores higher, ties counting half:

        AUC = Σᵢⱼ wᵢ wⱼ yᵢ (1 - yⱼ) ([sᵢ > sⱼ] + [sᵢ = sⱼ] / 2) / Σᵢⱼ wᵢ wⱼ yᵢ (1 - yⱼ)

    as `sklearn.metrics.roc_auc_score` does with `sample_weight`. Where a class has no weight,
    before the first update included, it is 0.5, as in `torchrec.metrics.auc` (which counts ties
    by the order of the examples).

    The state is under 1 MiB: the weights of both classes at up to 16,383 scores and in the gaps
    between them. Scores in one gap are taken for equal. When the pairs in gaps grow faster than
    1e-4 of all pairs, the scores are divided again, by what is held and by the batch, into gaps of
    at most 1 / 14,333 of the examples each; so they follow the scores wherever these move. The
    pairs that are then lost are at most 1e-4 + 1 / 14,333 of all, and count half: the error is
    below 0.9e-4, and mostly below 1e-5.

    Examples that come in an order of their own, sorted by score or by label, stay within 1e-4 too,
    but the scores are divided at each batch, which takes milliseconds. The bound does not hold for
    a stream of many batches that closes in from both sides, again and again, on a place between
    scores that were held before: each time up to 1 / 28,666 is added. `tfrec_models.metrics.auc`
    holds all scores and has no error.

    Under a strategy each replica adds the batches of all of them, at the cost of gathering three
    numbers an example.

    Paper: Hanley and McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143, 1982.

    Args:
        from_logits: bool, whether `y_pred` is logits instead of probabilities; the value is the
            same, but probabilities are checked. Defaults to False.
        window: int, over how many of the latest examples, exactly, of all replicas; they are
            held, 20 bytes for each. None for all examples since the last reset; Keras resets at
            the start of an epoch.
        name: str. Defaults to "exact_auc".
        dtype: dtype of the result. Defaults to `keras.config.floatx()`.

    Input shape:
        `y_true`: `(batch,)` or `(batch, 1)`, 0 or 1.
        `y_pred`: `(batch,)` or `(batch, 1)`, floats; infinite ones are allowed.
        `sample_weight`: `(batch,)`, `(batch, 1)` or a scalar, at least 0. In `compile`, metrics
        are weighted if they are given as `weighted_metrics`.

    Output shape:
        scalar.

    Raises:
        ValueError: if a label is neither 0 nor 1, a score NaN or no probability, a weight negative
            or not finite; if a shape does not fit, or a batch is larger than the window. In a
            graph, `tf.errors.InvalidArgumentError` when it runs, unless shapes tell. Also if it
            is made under ParameterServerStrategy.

    Example:
        >>> from tfrec_models.metrics import ExactAUC
        >>> metric = ExactAUC(from_logits=True)
        >>> metric.update_state([0, 1, 0, 1], [-3.0, -1.0, -2.0, 5.0], sample_weight=[1, 1, 1, 2])
        >>> float(metric.result())
        1.0
    """

    adds_up = False

    def __init__(
        self,
        from_logits: bool = False,
        window: int | None = None,
        name: str = "exact_auc",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits=from_logits, window=window, name=name, dtype=dtype)
        add = lambda shape, dtype, name: self.add_variable(  # noqa: E731
            shape, "zeros", dtype=dtype, name=name, aggregation="only_first_replica"
        )
        self.edges = add((SIZE,), "int32", "edges")
        self.weights = add((2, 2 * SIZE), "float64", "weights")
        if window is None:
            self.lowest = add((SIZE,), "int32", "lowest")
            self.highest = add((SIZE,), "int32", "highest")
            # The weight of each class, and the pairs in gaps: `result` alone walks the slots.
            self.totals = add((2,), "float64", "totals")
            self.pairs = add((3,), "float64", "pairs")
            # Pairs in gaps, and all pairs, when the scores were last divided.
            self.baseline = add((2, 3), "float64", "baseline")
        else:
            self.num_examples = add((), "int64", "num_examples")
            self.recent_keys = add((window,), "int32", "recent_keys")
            self.recent_weights = add((window, 2), "float64", "recent_weights")
        self.reset_state()

    def reset_state(self):
        super().reset_state()
        self.edges.assign(tf.fill(self.edges.shape, score_bins.NO_KEY))
        if self.window is None:
            self.lowest.assign(tf.fill(self.lowest.shape, score_bins.NO_KEY))
            self.highest.assign(tf.fill(self.highest.shape, score_bins.LOWEST))

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: labels, 0 or 1, `(batch,)` or `(batch, 1)`.
            y_pred: scores, of either shape.
            sample_weight: weights of at least 0, of either shape or one for all; 1 if None.
        """
        labels, scores, weights = examples(self, y_true, y_pred, sample_weight)
        keys = score_bins.sortable(scores)
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            # As integers, which float64 holds exactly: TensorFlow takes denormal floats for 0.
            columns = tf.stack([tf.cast(keys, tf.float64), labels, weights], axis=1)
            columns = replica.all_gather(columns, axis=0)
            keys, labels, weights = tf.unstack(columns, num=3, axis=1)
            keys = tf.cast(keys, tf.int32)
        if self.window is None:
            self._add(keys, labels, weights)
        else:
            self._add_to_window(_keyed(keys, labels, weights))

    def result(self):
        """Returns the area as a scalar of the metric's dtype."""
        if self.window is None:
            totals = tf.convert_to_tensor(self.totals)
        else:
            # Of what has left the slots, rounding remains.
            totals = tf.reduce_sum(self.recent_weights, axis=0)
        pairs = tf.reduce_prod(totals)
        ordered = score_bins.ordered_pairs(tf.convert_to_tensor(self.weights))
        area = tf.math.divide_no_nan(ordered, pairs)
        return tf.cast(tf.where(pairs > 0, area, tf.constant(0.5, tf.float64)), self.dtype)

    def add_state_of(self, other):
        self._assign(*_divided(self.contents(), other.contents()))

    def contents(self):
        """Returns the scores that are held as sortable keys, with their weights in each class."""
        return score_bins.contents(self._bins())

    def _bins(self):
        parts = (self.edges, self.weights, self.lowest, self.highest)
        return score_bins.Bins(*map(tf.convert_to_tensor, parts))

    def _assign(self, bins, totals, pairs, baseline):
        self.edges.assign(bins.edges)
        self.weights.assign(bins.weights)
        self.lowest.assign(bins.lowest)
        self.highest.assign(bins.highest)
        self.totals.assign(totals)
        self.pairs.assign(pairs)
        self.baseline.assign(baseline)

    def _add(self, keys, labels, added):
        bins = self._bins()
        edge, is_edge = score_bins.place(bins.edges, keys)
        weights, grown = score_bins.with_examples(
            bins.weights, edge, is_edge, tf.cast(labels, tf.int32), added
        )
        by_class = tf.stack([added * (1 - labels), added * labels])
        totals = self.totals + tf.reduce_sum(by_class, axis=1)
        pairs, of = self.pairs + grown, score_bins.all_pairs(totals)
        # An example is no pair with itself.
        in_gaps = tf.where(is_edge > 0, tf.zeros_like(by_class), by_class)
        alone = tf.concat([tf.reduce_sum(in_gaps**2, axis=1), [0.0]], axis=0)
        before, of_before = tf.unstack(tf.convert_to_tensor(self.baseline))
        before += alone
        # The last term is for rounding.
        is_outgrown = tf.reduce_any(pairs > before + TOLERANCE * (of - of_before) + 1e-12 * of)

        def keep():
            ranges = score_bins.with_ranges(bins.lowest, bins.highest, edge, is_edge, keys)
            baseline = tf.stack([before, of_before])
            return score_bins.Bins(bins.edges, weights, *ranges), totals, pairs, baseline

        def divide():
            return _divided(score_bins.contents(bins), _keyed(keys, labels, added))

        self._assign(*tf.cond(is_outgrown, divide, keep))

    def _add_to_window(self, batch):
        size = tf.size(batch.keys)
        count = checked(
            tf.convert_to_tensor(self.num_examples),
            size <= self.window,
            f"ExactAUC: window={self.window} must be at least the number of examples in a batch, "
            "received:",
            size,
        )
        places = (count + tf.range(tf.cast(size, tf.int64))) % self.window
        keys, weights = map(tf.convert_to_tensor, (self.recent_keys, self.recent_weights))
        leaving = score_bins.Keyed(
            tf.gather(keys, places), -tf.transpose(tf.gather(weights, places))
        )
        places = places[:, tf.newaxis]
        keys = tf.tensor_scatter_nd_update(keys, places, batch.keys)
        weights = tf.tensor_scatter_nd_update(weights, places, tf.transpose(batch.weights))
        changes = score_bins.joined(leaving, batch)
        edges, slots = map(tf.convert_to_tensor, (self.edges, self.weights))
        slots = score_bins.with_weights(
            slots, *score_bins.place(edges, changes.keys), changes.weights
        )

        def divide():
            bins = score_bins.partition(score_bins.Keyed(keys, tf.transpose(weights)), SIZE)
            return bins.edges, bins.weights

        lost, of = score_bins.pairs_in_gaps(slots)[2], tf.reduce_prod(tf.reduce_sum(slots, axis=1))
        edges, slots = tf.cond(lost > TOLERANCE * of, divide, lambda: (edges, slots))
        self.edges.assign(edges)
        self.weights.assign(slots)
        self.num_examples.assign_add(tf.cast(size, tf.int64))
        self.recent_keys.assign(keys)
        self.recent_weights.assign(weights)


def _keyed(keys, labels, weights):
    return score_bins.Keyed(keys, tf.stack([weights * (1 - labels), weights * labels]))


def _divided(*parts):
    """Returns bins of new edges for the examples of several parts, their sums and baseline."""
    bins = score_bins.partition(score_bins.joined(*parts), SIZE)
    totals, pairs = tf.reduce_sum(bins.weights, axis=1), score_bins.pairs_in_gaps(bins.weights)
    return bins, totals, pairs, tf.stack([pairs, score_bins.all_pairs(totals)])
