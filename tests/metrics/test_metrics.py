"""What the metrics have in common: strategies, compile, configurations and bad input."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss, roc_auc_score

from tfrec_models.metrics import (
    Calibration,
    ExactAUC,
    NormalizedEntropy,
    RecalibratedNormalizedEntropy,
    evaluate_grouped_auc,
    grouped_auc,
)

CLASSES = [NormalizedEntropy, Calibration, ExactAUC, RecalibratedNormalizedEntropy]
LABELS, SCORES = np.array([0, 1, 0, 1, 1]), np.array([0.1, 0.8, 0.4, 0.35, 0.9])
every_class = pytest.mark.parametrize("cls", CLASSES)


def by_hand(cls, labels, scores, weights):
    """The definitions in NumPy and scikit-learn."""
    if cls is ExactAUC:
        return roc_auc_score(labels, scores, sample_weight=weights)
    if cls is Calibration:
        return np.sum(weights * scores) / np.sum(weights * labels)
    mean = np.average(labels, weights=weights)
    norm = -mean * math.log(mean) - (1 - mean) * math.log(1 - mean)
    return log_loss(labels, scores, sample_weight=weights) / norm


@every_class
def test_definition(cls):
    """Two weighted updates of different sizes give the value of the formula."""
    weights = np.array([1.0, 2.0, 0.0, 1.5, 3.0])
    metric = cls()
    metric.update_state(LABELS[:3], SCORES[:3], weights[:3])
    metric.update_state(LABELS[3:], SCORES[3:], weights[3:])
    expected = by_hand(cls, LABELS, SCORES, weights)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


def test_recalibration_maps_probabilities_back():
    """The odds are multiplied by the share of negatives that was trained on."""
    metric = RecalibratedNormalizedEntropy(recalibration_coefficient=0.2)
    metric.update_state(LABELS, SCORES)
    odds = 0.2 * SCORES / (1 - SCORES)
    expected = by_hand(NormalizedEntropy, LABELS, odds / (1 + odds), np.ones(5))
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


@every_class
@pytest.mark.parametrize("window", [None, 5])
def test_shapes_and_dtypes(cls, window):
    """(batch,) and (batch, 1), half precision, and one weight for all give the same value."""
    values = []
    for labels, scores, weights in [
        (LABELS, SCORES, None),
        (LABELS[:, None], SCORES[:, None], 2.0),
        (LABELS.astype(bool), SCORES[:, None], np.ones((5, 1))),
        (LABELS[:, None].astype("float16"), tf.constant(SCORES, tf.bfloat16), np.ones(5)),
        (LABELS, tf.constant(SCORES, tf.float16), None),
    ]:
        metric = cls(window=window)
        metric.update_state(labels, scores, weights)
        values.append(float(metric.result()))
    np.testing.assert_allclose(values, values[0], rtol=3e-3)


@every_class
@pytest.mark.parametrize("window", [None, 7])
def test_config_and_reset(cls, window):
    """The configuration makes the same metric; a reset sets its first value."""
    metric = cls(from_logits=True, window=window, name="mine", dtype="float64")
    config = keras.saving.serialize_keras_object(metric)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is cls and copy.get_config() == metric.get_config()
    first = float(copy.result())
    copy.update_state(LABELS, SCORES)
    assert float(copy.result()) != first
    copy.reset_state()
    np.testing.assert_equal(float(copy.result()), first)


@every_class
def test_first_value(cls):
    """Before any update the value is the one that is documented."""
    expected = {ExactAUC: 0.5, Calibration: 0.0}.get(cls, math.nan)
    np.testing.assert_equal(float(cls().result()), expected)


@every_class
def test_merge_state(cls):
    """The merged state is that of all examples."""
    parts = [cls() for _ in range(3)]
    for part, rows in zip(parts, (slice(1), slice(1, 3), slice(3, 5)), strict=True):
        part.update_state(LABELS[rows], SCORES[rows])
    parts[0].merge_state(parts[1:])
    expected = by_hand(cls, LABELS, SCORES, np.ones(5))
    assert float(parts[0].result()) == pytest.approx(expected, rel=1e-6)


@every_class
def test_merge_state_refuses_other_metrics(cls):
    """Other arguments, other classes and windows are named."""
    with pytest.raises(ValueError, match="with these arguments"):
        cls().merge_state([cls(from_logits=True)])
    with pytest.raises(ValueError, match="merge_state takes metrics of this class"):
        cls().merge_state([keras.metrics.AUC()])
    with pytest.raises(ValueError, match="Windows cannot be merged"):
        cls(window=3).merge_state([cls(window=3)])


def linear_model():
    """Logits that are the one feature."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.layers[0].set_weights([np.ones((1, 1))])
    return model


def click_data(rows):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, 1)).astype(np.float32)
    labels = (rng.random((rows, 1)) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    weights = rng.integers(0, 4, rows).astype(np.float32)
    return logits, labels, weights


def check_logs(logs, logits, labels, weights):
    y, z = labels[:, 0], logits[:, 0].astype(float)
    probabilities = 1 / (1 + np.exp(-z))
    for cls, name in zip(
        CLASSES[:3], ("normalized_entropy", "calibration", "exact_auc"), strict=True
    ):
        expected = by_hand(cls, y, probabilities, weights)
        assert logs[name] == pytest.approx(expected, rel=1e-5), name


def compiled_metrics(**kwargs):
    return [cls(from_logits=True, **kwargs) for cls in CLASSES]


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_in_compile(steps_per_execution):
    """fit and evaluate log the weighted values of the epoch, a smaller last batch included."""
    logits, labels, weights = click_data(301)
    model = linear_model()
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.BinaryCrossentropy(from_logits=True),
        weighted_metrics=compiled_metrics(),
        steps_per_execution=steps_per_execution,
    )
    dataset = tf.data.Dataset.from_tensor_slices((logits, labels, weights)).batch(32)
    history = model.fit(dataset, epochs=2, verbose=0).history
    check_logs({name: values[-1] for name, values in history.items()}, logits, labels, weights)
    check_logs(model.evaluate(dataset, verbose=0, return_dict=True), logits, labels, weights)


def test_on_two_replicas(two_devices):
    """Under a strategy the values are those of all examples, uneven last batches included."""
    logits, labels, weights = click_data(73)
    with two_devices.scope():
        model = linear_model()
        model.compile(
            keras.optimizers.SGD(0.0),
            keras.losses.BinaryCrossentropy(from_logits=True),
            weighted_metrics=compiled_metrics(),
        )
    # The last batch is one example: a replica has none.
    dataset = tf.data.Dataset.from_tensor_slices((logits, labels, weights)).batch(24)
    history = model.fit(dataset, epochs=2, verbose=0).history
    check_logs({name: values[-1] for name, values in history.items()}, logits, labels, weights)
    check_logs(model.evaluate(dataset, verbose=0, return_dict=True), logits, labels, weights)


def test_windows_on_two_replicas(two_devices):
    """Each replica has half of the window of sums; ExactAUC has the latest of all."""
    logits, labels, _ = click_data(64)
    with two_devices.scope():
        metrics = [cls(from_logits=True, window=32) for cls in CLASSES[:3]]

    @tf.function
    def update(batch):
        def step(y, z):
            for metric in metrics:
                metric.update_state(y, z)

        two_devices.run(step, args=batch)

    dataset = tf.data.Dataset.from_tensor_slices((labels, logits)).batch(16)
    for batch in two_devices.experimental_distribute_dataset(dataset):
        update(batch)
    logs = {metric.name: float(metric.result()) for metric in metrics}
    check_logs(logs, logits[-32:], labels[-32:], np.ones(32))


def test_window_of_sums_drops_whole_updates():
    """The oldest updates leave until the rest fit, and after 1,000 whatever fits."""
    metric = Calibration(window=5)
    for labels, scores in [([1, 1], [0.1, 0.1]), ([1, 1, 1], [0.5] * 3), ([1], [0.9])]:
        metric.update_state(labels, scores)
    assert float(metric.result()) == pytest.approx((1.5 + 0.9) / 4)
    metric = Calibration(window=2000)
    update = tf.function(metric.update_state)
    for number in range(1001):
        update(tf.ones(1), tf.constant([0.0 if number == 0 else 1.0]))
    assert float(metric.result()) == 1.0


def run(metric, in_graph, *args):
    update = tf.function(metric.update_state) if in_graph else metric.update_state
    update(*args)


BAD_VALUES = [
    ([0, 2], [0.5, 0.5], None, r"y_true must be 0 or 1.*smallest and the largest"),
    ([0, 0.5], [0.5, 0.5], None, "y_true must be 0 or 1"),
    ([0, np.nan], [0.5, 0.5], None, "y_true must be 0 or 1"),
    ([0, 1], [0.5, np.nan], None, r"y_pred must be probabilities.*NaN in this many"),
    ([0, 1], [0.5, 1.5], None, r"for a model that gives logits, set from_logits=True"),
    ([0, 1], [-0.5, 1.0], None, r"set from_logits=True"),
    ([0, 1], [0.5, 0.5], [1.0, -1.0], "sample_weight must be finite and at least 0"),
    ([0, 1], [0.5, 0.5], [1.0, np.inf], "sample_weight must be finite"),
    ([0, 1], [0.5, 0.5], [1.0, np.nan], "sample_weight must be finite"),
]


@every_class
@pytest.mark.parametrize(("labels", "scores", "weights", "message"), BAD_VALUES)
def test_bad_values(cls, labels, scores, weights, message):
    """Bad values are refused with what was received, and leave the state as it was."""
    scores = np.array(scores, np.float32)
    metric = cls()
    with pytest.raises(ValueError, match=message):
        run(metric, False, labels, scores, weights)
    before = float(metric.result())
    weights = None if weights is None else tf.constant(weights)
    args = [tf.constant(labels, tf.float32), tf.constant(scores), weights]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run(metric, True, *args)
    np.testing.assert_equal(float(metric.result()), before)


@every_class
def test_nan_logits(cls):
    """NaN is refused among logits too."""
    with pytest.raises(ValueError, match="must be logits and none of them NaN"):
        cls(from_logits=True).update_state([0, 1], [3.0, np.nan])


@every_class
def test_bad_shapes(cls):
    """Several columns and lengths that differ are refused, also where only the graph knows."""
    metric = cls()
    with pytest.raises(ValueError, match=r"y_pred must have shape \(batch,\) or \(batch, 1\), re"):
        metric.update_state(np.zeros((4, 2)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"a metric of its own"):
        metric.update_state(np.zeros(4), np.zeros((2, 2, 1)))
    with pytest.raises(ValueError, match=r"y_true must have one number for each of y_pred.*3, 4"):
        metric.update_state(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="sample_weight must have one number for each"):
        metric.update_state(np.zeros(4), np.zeros(4), np.ones(1))
    spec = tf.TensorSpec(None, tf.float32)
    update = tf.function(metric.update_state, input_signature=[spec, spec])
    with pytest.raises(tf.errors.InvalidArgumentError, match="one number for each of y_pred"):
        update(tf.zeros(1), tf.zeros(4))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must have shape \(batch,\) or"):
        update(tf.zeros((2, 2)), tf.zeros((2, 2)))


@every_class
def test_bad_arguments(cls):
    """Arguments of wrong types and batches larger than the window are refused."""
    with pytest.raises(ValueError, match="window must be a positive integer, received 0"):
        cls(window=0)
    with pytest.raises(TypeError, match="from_logits must be a bool, received 'yes'"):
        cls(from_logits="yes")
    with pytest.raises(ValueError, match="at least the number of examples in a batch"):
        cls(window=3).update_state(LABELS, SCORES)
    for coefficient in (0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="recalibration_coefficient must be a finite"):
            RecalibratedNormalizedEntropy(coefficient)


def test_extreme_logits_are_finite():
    """Probabilities of 0 and 1 are kept from infinite entropy, as in TorchRec."""
    metric = NormalizedEntropy(from_logits=True)
    metric.update_state([0, 1, 1], [1e30, -1e30, np.inf])
    assert 0 < float(metric.result()) < 100


def test_grouped_auc_by_hand():
    """Ties count half, weights count within a group, groups of one class or one score do not."""
    labels = [0, 1, 1, 0, 1, 0, 1, 1, 1, 0]
    scores = [0.2, 0.2, 0.9, 0.1, 0.3, 0.6, 0.5, 0.5, 0.7, 0.7]
    groups = ["a", "a", "a", "b", "b", "b", "c", "c", "d", "d"]
    weights = [1, 1, 3, 2, 1, 1, 1, 1, 1, 1]
    value = grouped_auc(labels, scores, groups, weights)
    assert value == pytest.approx(((0.5 + 3) / 4 + 2 / 3) / 2)
    assert grouped_auc([1, 1], [0.1, 0.2], [0, 0]) == 0.5
    assert grouped_auc([], [], []) == 0.5


def test_grouped_auc_equals_scikit_learn():
    """The mean over users of scikit-learn's value for each."""
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 400), rng.integers(0, 30, 400)
    groups, weights = rng.integers(0, 20, 400), rng.random(400)
    expected = [
        roc_auc_score(labels[rows], scores[rows], sample_weight=weights[rows])
        for rows in (groups == group for group in range(20))
    ]
    assert grouped_auc(labels, scores, groups, weights) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 2]}, "labels must be 0 or 1, received 2.0"),
        ({"groups": [1]}, "received 1 ids and 2 labels"),
        ({"groups": ["ann", None]}, "an id in every row, received None in row 1"),
        ({"scores": [0.1, np.nan]}, "received NaN in row 1"),
        ({"sample_weight": [1, -1]}, r"at least 0, received -1.0 in row 1"),
        ({"sample_weight": [1]}, "received 1 weights for 2"),
    ],
)
def test_grouped_auc_refuses(change, message):
    """Each bad input is refused with what was received."""
    good = {"labels": [0, 1], "scores": [0.1, 0.2], "groups": [0, 0], "sample_weight": None}
    with pytest.raises(ValueError, match=message):
        grouped_auc(**{**good, **change})


def test_evaluate_grouped_auc():
    """Over a dataset it is the function of all labels, scores, users and weights."""
    logits, labels, weights = click_data(50)
    users = np.random.default_rng(1).integers(0, 5, 50)
    score = keras.Input((1,), name="score")
    user = keras.Input((), name="user", dtype="int64")
    model = keras.Model({"score": score, "user": user}, keras.layers.Identity()(score))
    x = {"score": logits, "user": users}
    for y in ((labels,), (labels, weights)):
        dataset = tf.data.Dataset.from_tensor_slices((x, *y)).batch(7)
        value = evaluate_grouped_auc(model, dataset, lambda x: x["user"])
        assert value == pytest.approx(grouped_auc(labels, logits, users, *y[1:]), abs=1e-6)
    with pytest.raises(ValueError, match="received batches without y"):
        dataset = tf.data.Dataset.from_tensor_slices((x,)).batch(7)
        evaluate_grouped_auc(model, dataset, lambda x: x["user"])
    with pytest.raises(ValueError, match="one score, one group and one weight"):
        dataset = tf.data.Dataset.from_tensor_slices((x, labels)).batch(7)
        evaluate_grouped_auc(model, dataset, lambda x: [0])
    two = keras.Model(score, {"click": score, "buy": score})
    with pytest.raises(ValueError, match=r"one output, received \['click', 'buy'\]"):
        evaluate_grouped_auc(two, tf.data.Dataset.from_tensors((logits, labels)), lambda x: users)
