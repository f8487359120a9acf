import functools

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from tfrec_models.metrics import ExactAUC, auc
from tfrec_models.metrics import exact_auc as module

ROWS = 40_000


def data(seed=0, rows=ROWS):
    """Logits of a float64 normal, labels drawn from them, and weights."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(np.float32)
    return z, labels, rng.random(rows).astype(np.float32)


@functools.cache
def traced(**kwargs):
    """A metric and its update as a graph, once for all tests."""
    metric = ExactAUC(from_logits=True, **kwargs)
    column = tf.TensorSpec([None], tf.float32)
    return metric, tf.function(metric.update_state, input_signature=[column] * 3)


def updated(scores, labels, weights=None, batch=4096, **kwargs):
    """A metric that was given all rows in batches, the last one smaller; the same each time."""
    metric, update = traced(**kwargs)
    metric.reset_state()
    weights = np.ones(len(scores)) if weights is None else weights
    for start in range(0, len(scores), batch):
        rows = slice(start, start + batch)
        update(*(np.asarray(c[rows], np.float32) for c in (labels, scores, weights)))
    return metric


class ExactAUCTest(tf.test.TestCase):
    def check(self, scores, labels, weights=None, tolerance=1e-4, **kwargs):
        scores = np.asarray(scores, np.float32)
        value = updated(scores, labels, weights, **kwargs).result()
        # Its sums overflow where scores are near the largest float.
        with np.errstate(invalid="ignore"):
            expected = roc_auc_score(labels, scores, sample_weight=weights)
        self.assertNear(float(value), expected, tolerance)

    def test_scores_of_every_kind(self):
        """Close, tiny, huge, heavy-tailed and few different logits, with weights."""
        z, labels, weights = data()
        for scores in (
            z,
            1 + z * 1e-6,
            -0.05 + z * 1e-8,
            z * 1e-30,
            z * 1e-42,
            z * 1e37,
            np.sign(z) * np.exp(15 * np.abs(z)),
            np.round(z),
            np.round(2 * z) * 1e-7 + 3,
        ):
            self.check(scores, labels, weights)

    def test_equal_scores_and_signed_zeros(self):
        """Ties count half; minus zero equals zero."""
        _, labels, weights = data(rows=500)
        self.check(np.full(500, 7.5), labels, weights, tolerance=1e-7)
        self.check(np.where(np.arange(500) % 2, 0.0, -0.0), labels, weights, tolerance=1e-7)

    def test_examples_in_an_order_of_their_own(self):
        """Sorted by score, by its distance from a score, or by label, in both directions."""
        z, labels, weights = data()
        keys = z, np.abs(z), np.abs(z - 0.37), labels, labels * 10 + z, np.abs(z) * (1 - labels)
        for key in keys:
            ascending = np.argsort(key, kind="stable")
            for order in (ascending, ascending[::-1]):
                self.check(z[order], labels[order], weights[order])
                self.check(1 + z[order] * 1e-5, labels[order], weights[order])

    def test_scores_that_move(self):
        """As in training: close to each other at first, far apart later, then elsewhere."""
        z, labels, weights = data()
        widths = np.geomspace(1e-6, 3, ROWS)
        self.check(z * widths, labels, weights)
        self.check(z * 1e-3 + np.linspace(-5, 5, ROWS), labels, weights)

    def test_closing_in_on_a_score_within_others(self):
        """What the partition bears least: outside in, at one place of a wide distribution."""
        z, labels, weights = data()
        inner = np.argsort(-np.abs(z))
        other, other_labels, _ = data(seed=1)
        scores = np.concatenate([other, 1 + z[inner] * 1e-3])
        labels = np.concatenate([other_labels, labels[inner]])
        self.check(scores, labels, np.concatenate([weights, weights]))

    def test_rare_positives(self):
        """A hundred positives of 40,000."""
        z, _, weights = data()
        labels = (np.random.default_rng(2).random(ROWS) < 0.005 / (1 + np.exp(-z))).astype(int)
        self.assertBetween(labels.sum(), 50, 150)
        self.check(z, labels, weights)

    def test_small_batches(self):
        """However small the batches, also of the first examples."""
        z, labels, weights = data(rows=6000)
        self.check(z[:20], labels[:20], weights[:20], batch=1)
        self.check(z, labels, weights, batch=100)

    def test_against_the_function(self):
        """`auc` of the same rows and weights is the same."""
        z, labels, weights = data(rows=3000)
        scores = z.astype(np.float32)
        value = updated(scores, labels, weights).result()
        self.assertNear(float(value), auc(labels, scores, weights), 1e-4)

    def test_memory_is_bounded(self):
        """The state keeps its size, under one MiB, whatever was added."""
        metric = updated(*data()[:2])
        size = sum(np.prod(v.shape) * v.numpy().itemsize for v in metric.variables)
        fresh = sum(np.prod(v.shape) * v.numpy().itemsize for v in ExactAUC().variables)
        self.assertEqual(size, fresh)
        self.assertLess(size, 2**20)

    def test_scores_are_rarely_divided(self):
        """Of examples in no order, only in the first batches: a step is cheap."""
        z, labels, _ = data(rows=200_000)
        metric, update = traced()
        metric.reset_state()
        divided, edges = 0, metric.edges.numpy()
        for start in range(0, 200_000, 4000):
            rows = slice(start, start + 4000)
            update(labels[rows], z[rows].astype(np.float32), np.ones(4000, np.float32))
            divided += not np.array_equal(edges, metric.edges.numpy())
            edges = metric.edges.numpy()
        self.assertLess(divided, 12)

    def test_window(self):
        """The latest examples alone, to the example, whatever lies at the window's border."""
        z, labels, weights = data(rows=9000)
        for window in (1000, 8999):
            metric = updated(z.astype(np.float32), labels, weights, batch=700, window=window)
            expected = roc_auc_score(labels[-window:], z[-window:], sample_weight=weights[-window:])
            self.assertNear(float(metric.result()), expected, 1e-4)

    def test_window_that_one_class_has_left(self):
        """One half, though weights that do not add up exactly were added and removed."""
        metric = ExactAUC(window=3)
        metric.update_state([1, 1, 0], [0.5, 0.6, 0.7], [0.1, 0.2, 0.3])
        metric.update_state([0, 0, 0], [0.5, 0.6, 0.7], [0.1, 0.2, 0.3])
        self.assertEqual(float(metric.result()), 0.5)

    def test_merge_state(self):
        """Metrics of parts of the data, at different scores, merge into that of all."""
        z, labels, weights = data()
        z = np.where(np.arange(ROWS) < 15_000, z, 1 + z * 1e-4).astype(np.float32)
        merged, *others = metrics = [ExactAUC(from_logits=True) for _ in range(3)]
        parts = slice(15_000), slice(15_000, 30_000), slice(30_000, None)
        for metric, rows in zip(metrics, parts, strict=True):
            metric.update_state(labels[rows], z[rows], weights[rows])
        merged.merge_state(others)
        self.assertNear(
            float(merged.result()), roc_auc_score(labels, z, sample_weight=weights), 1e-4
        )
        merged.update_state(labels[:100], z[:100])
        self.assertAllInRange(merged.result(), 0.5, 1.0)

    def test_undefined_values(self):
        """One half before any update, and where a class has no weight."""
        metric = ExactAUC()
        self.assertEqual(float(metric.result()), 0.5)
        metric.update_state([1, 1], [0.2, 0.9])
        self.assertEqual(float(metric.result()), 0.5)
        metric.update_state([0, 0], [0.5, 0.9], [0, 0])
        self.assertEqual(float(metric.result()), 0.5)
        metric.update_state([0], [0.5])
        self.assertEqual(float(metric.result()), 0.5)
        metric.update_state([0], [0.1])
        self.assertEqual(float(metric.result()), 0.75)

    def test_probabilities_are_not_made_equal(self):
        """Half precision and infinite logits are compared as they are."""
        labels = np.array([0, 1, 0, 1])
        metric = ExactAUC(from_logits=True)
        for dtype in (tf.float16, tf.bfloat16, tf.float32, tf.float64):
            metric.update_state(labels, tf.constant([-np.inf, 200, 100, np.inf], dtype))
        self.assertEqual(float(metric.result()), 1.0)

    def test_stateless(self):
        """Keras's stateless calls work, inside a function too."""
        metric = ExactAUC()
        variables = metric.stateless_update_state(metric.variables, [0, 1], [0.2, 0.4])
        self.assertEqual(float(metric.stateless_result(variables)), 1.0)
        self.assertEqual(float(metric.result()), 0.5)

    def test_reset(self):
        """After a reset it is as new, with a window too."""
        for window in (None, 4):
            metric = ExactAUC(window=window)
            metric.update_state([0, 1, 1], [0.9, 0.1, 0.2])
            metric.reset_state()
            self.assertEqual(float(metric.result()), 0.5)
            metric.update_state([0, 1], [0.1, 0.9])
            self.assertEqual(float(metric.result()), 1.0)

    def test_capacity_is_what_the_docstring_says(self):
        """The numbers of the docstring are those of the code."""
        self.assertIn(f"{module.SIZE - 1:,} scores", ExactAUC.__doc__)
        self.assertIn("1e-4", ExactAUC.__doc__)
        self.assertEqual(keras.saving.get_registered_name(ExactAUC), "tfrec_models>ExactAUC")
