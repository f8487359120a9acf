"""Losses and metrics that take logits for probabilities are named at compile."""

import warnings

import keras
import pytest

from tests.numerics.models import make
from tfrec_models import DLRMTrain
from tfrec_models.metrics import Calibration, ExactAUC, NormalizedEntropy


class OwnAUC(keras.metrics.AUC):
    """A user's own."""


def complaints(model, **arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.compile("sgd", **arguments)
    return [str(w.message) for w in caught if "received losses or metrics" in str(w.message)]


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"loss": "binary_crossentropy"}, r"keras.losses.BinaryCrossentropy(from_logits=True)"),
        ({"loss": "bce"}, "from_logits=True"),
        ({"loss": keras.losses.binary_crossentropy}, "from_logits=True"),
        ({"loss": keras.losses.BinaryCrossentropy()}, "from_logits=True"),
        ({"loss": "mse", "metrics": ["AUC"]}, "keras.metrics.AUC(from_logits=True)"),
        ({"loss": "mse", "metrics": [keras.metrics.AUC()]}, "keras.metrics.AUC(from_logits=True)"),
        ({"loss": "mse", "metrics": ["accuracy"]}, "BinaryAccuracy(threshold=0.0)"),
        ({"loss": "mse", "weighted_metrics": ["acc"]}, "BinaryAccuracy(threshold=0.0)"),
        ({"loss": "mse", "metrics": [keras.metrics.Precision()]}, "Precision(thresholds=0.0)"),
        ({"loss": "mse", "metrics": [keras.metrics.BinaryIoU()]}, "BinaryIoU(threshold=0.0)"),
        (
            {"loss": "mse", "metrics": [keras.metrics.FalsePositives()]},
            "keras.metrics.FalsePositives(thresholds=0.0)",
        ),
        (
            {"loss": "mse", "metrics": [keras.metrics.F1Score(threshold=0.5)]},
            "leave out metric F1Score, which has no form for logits",
        ),
        (
            {"loss": "mse", "metrics": [keras.metrics.PrecisionAtRecall(0.5)]},
            "leave out metric PrecisionAtRecall",
        ),
        ({"loss": "mse", "metrics": [OwnAUC()]}, "for metric OwnAUC write OwnAUC(from_logits"),
    ],
)
def test_logits_taken_for_probabilities(arguments, advice):
    """One warning says what to write instead."""
    for model in (make("DLRM"), DLRMTrain(make("DLRM"))):
        (message,) = complaints(model, **arguments)
        assert message.startswith(f"{type(model).__name__} gives logits, received")
        assert advice in message


def test_probabilities_taken_for_logits():
    """SimpleDeepFMNN gives probabilities."""
    (message,) = complaints(
        make("SimpleDeepFMNN"),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True)],
    )
    assert "gives probabilities, received losses or metrics that take logits" in message
    assert "write keras.losses.BinaryCrossentropy()" in message
    assert "write keras.metrics.AUC()" in message


def test_metrics_of_this_package():
    """They say themselves what they take; so do thresholds of Keras's for logits."""
    (message,) = complaints(make("DLRM"), loss="mse", metrics=[ExactAUC(), Calibration()])
    assert "for metric ExactAUC write ExactAUC(from_logits=True)" in message
    assert "for metric Calibration write Calibration(from_logits=True)" in message
    logits = [NormalizedEntropy(from_logits=True), keras.metrics.BinaryAccuracy(threshold=0.0)]
    (message,) = complaints(make("SimpleDeepFMNN"), loss="mse", metrics=logits)
    assert "for metric NormalizedEntropy write NormalizedEntropy()" in message
    assert "for metric BinaryAccuracy write keras.metrics.BinaryAccuracy()" in message
    assert not complaints(make("DLRM"), loss="mse", metrics=[ExactAUC(from_logits=True)])


def test_no_false_alarms():
    """What fits, and what cannot be known."""
    right = keras.losses.BinaryCrossentropy(from_logits=True)
    metrics = keras.metrics
    for loss in (right, "mse", lambda y, z: (y - z) ** 2, None):
        assert not complaints(make("DLRM"), loss=loss)
    fitting = [
        metrics.AUC(from_logits=True),
        metrics.BinaryAccuracy(threshold=0.0),
        metrics.Precision(thresholds=[0.0]),
        metrics.Recall(top_k=3),
        metrics.MeanSquaredError(),
        "mse",
    ]
    assert not complaints(make("DLRM"), loss=right, metrics=fitting)
    assert not complaints(
        make("SimpleDeepFMNN"), loss="binary_crossentropy", metrics=["AUC", "accuracy"]
    )
