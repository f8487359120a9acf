"""MultiTaskRanker: losses by task, against a ranker of two columns and against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.data import features
from tests.support.models import two_tables
from tfrec_models import DLRM, DLRMTrain, MultiTaskRanker, xla_disabled
from tfrec_models.optimizers import SGD
from tfrec_models.serving import export

EXAMPLES = 8
INPUTS = features(EXAMPLES)
LABELS = np.random.default_rng(1).integers(0, 2, (EXAMPLES, 2)).astype(np.float32)
BY_TASK = {"click": LABELS[:, :1], "buy": LABELS[:, 1:]}


@pytest.fixture(autouse=True)
def _compiled_by_nothing():
    """XLA is in the tests of the ranker inside."""
    with xla_disabled():
        yield


def ranker():
    """The same weights each time."""
    keras.utils.set_random_seed(7)
    model = DLRM(two_tables(), 5, [6, 4], [8, 2])
    model.build()
    return model


def loss():
    return keras.losses.BinaryCrossentropy(from_logits=True)


def of_tasks(**settings):
    model = MultiTaskRanker(ranker(), ["click", "buy"])
    model.compile(SGD(0.5), loss={"click": loss(), "buy": loss()}, **settings)
    return model


def fit(model, labels, **settings):
    return model.fit(
        INPUTS, labels, batch_size=4, epochs=2, shuffle=False, verbose=0, **settings
    ).history


def test_two_halves_are_the_mean_of_two_columns():
    """Weights after four steps are those of the ranker whose loss is the mean over its columns."""
    plain = ranker()
    plain.compile(SGD(0.5), loss())
    fit(plain, LABELS)
    model = of_tasks(loss_weights={"click": 0.5, "buy": 0.5})
    fit(model, BY_TASK)
    start = ranker()
    for ours, expected, before in zip(
        model.ranker.weights, plain.weights, start.weights, strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
        assert not np.array_equal(expected, before) or "bias" in expected.path


def test_losses_metrics_and_weights_by_task():
    """Each loss by NumPy; a task of weight 0 leaves its column as it was."""
    model = of_tasks(
        loss_weights={"click": 1.0, "buy": 3.0},
        metrics={"buy": [keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")]},
    )
    found = model.evaluate(INPUTS, BY_TASK, batch_size=4, verbose=0, return_dict=True)
    logits = ranker()(INPUTS).numpy().astype(np.float64)
    losses = (np.log1p(np.exp(logits)) - LABELS * logits).mean(0)
    np.testing.assert_allclose(
        [found["click_loss"], found["buy_loss"], found["loss"]],
        [*losses, losses[0] + 3 * losses[1]],
        rtol=1e-5,
    )
    assert found["buy_accuracy"] == ((logits[:, 1] > 0) == LABELS[:, 1]).mean()
    kernel = model.ranker.over_arch.linear.kernel
    before = kernel.numpy()
    nothing = {"click": np.ones(EXAMPLES, np.float32), "buy": np.zeros(EXAMPLES, np.float32)}
    fit(model, BY_TASK, sample_weight=nothing)
    np.testing.assert_array_equal(kernel[:, 1], before[:, 1])
    assert not np.array_equal(kernel[:, 0], before[:, 0])


def test_predicted_saved_and_exported(tmp_path):
    """A dict by task; loaded and exported, the columns are in the order of the names."""
    model = of_tasks()
    expected = ranker()(INPUTS).numpy()
    found = model.predict(INPUTS, verbose=0)
    assert list(found) == ["click", "buy"]
    np.testing.assert_allclose(np.hstack(list(found.values())), expected, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(INPUTS)["buy"], model(INPUTS)["buy"])
    bags = INPUTS["sparse_features"]
    for dtype, tolerance in ((None, 1e-6), ("bfloat16", 0.02)):
        path = export(model, tmp_path / str(dtype), compute_dtype=dtype)
        served = tf.saved_model.load(path).signatures["serving_default"](
            dense_features=INPUTS["dense_features"],
            **{f"{name}_values": bags[name].values for name in bags},
            **{f"{name}_lengths": bags[name].row_lengths() for name in bags},
        )
        np.testing.assert_allclose(served["logits"], expected, rtol=1e-5, atol=tolerance)


def test_refused():
    """What is no ranker, and names that do not fit its columns."""
    with pytest.raises(TypeError, match="ranker must be a ranking model such as DLRM, received D"):
        MultiTaskRanker(keras.layers.Dense(2), ["a", "b"])
    with pytest.raises(TypeError, match="task_names must be a list of names, received 'ab'; pass"):
        MultiTaskRanker(ranker(), "ab")
    for names in (["a"], ["a", "a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="must be 2 different names, one for each output col"):
            MultiTaskRanker(ranker(), names)
    with pytest.raises(TypeError, match="such as DLRM, received MultiTaskRanker"):
        DLRMTrain(MultiTaskRanker(ranker(), ["a", "b"]))
    with pytest.warns(UserWarning, match="gives logits, received losses .* take probabilities"):
        MultiTaskRanker(ranker(), ["a", "b"]).compile(
            "sgd", loss={"a": loss(), "b": "binary_crossentropy"}
        )
