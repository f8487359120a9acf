"""Values equal those recorded from torchrec.metrics (record_torchrec.py)."""

import json
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tfrec_models.metrics import (
    Calibration,
    ExactAUC,
    NormalizedEntropy,
    RecalibratedNormalizedEntropy,
    grouped_auc,
)

RECORDED = json.loads(pathlib.Path(__file__).with_name("torchrec_metrics.json").read_text())
WINDOW = RECORDED["window"]


def recalibrated(**kwargs):
    return RecalibratedNormalizedEntropy(RECORDED["coefficient"], **kwargs)


METRICS = {
    "ne": NormalizedEntropy,
    "recalibrated_ne": recalibrated,
    "calibration": Calibration,
    "auc": ExactAUC,
}
CASES = [
    (case, name)
    for case, recorded in RECORDED["cases"].items()
    for name in recorded["values"]
    # TorchRec orders equal scores by chance; 0 and 1 stand twice among those at the ends.
    if not (case in ("equal scores", "scores at the ends") and "auc" in name)
]


@pytest.mark.parametrize(("case", "name"), CASES)
def test_equals_torchrec(case, name):
    """Each metric, over all examples and over a window, is TorchRec's to 1e-6; NaN where it is."""
    window = WINDOW if name.startswith("window_") else None
    metric = METRICS[name.removeprefix("window_")](window=window, dtype="float64")
    for labels, scores, weights in RECORDED["cases"][case]["updates"]:
        metric.update_state(np.array(labels), np.array(scores), np.array(weights))
    expected = RECORDED["cases"][case]["values"][name]
    if expected is None:
        assert math.isnan(float(metric.result()))
    else:
        assert float(metric.result()) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", ["ne", "recalibrated_ne", "calibration"])
def test_logits_equal_torchrec(name):
    """From logits the values are those recorded from their probabilities."""
    metric = METRICS[name](from_logits=True)
    for labels, scores, weights in RECORDED["cases"]["several updates"]["updates"]:
        scores = np.array(scores)
        metric.update_state(np.array(labels), np.log(scores / (1 - scores)), np.array(weights))
    expected = RECORDED["cases"]["several updates"]["values"][name]
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("recorded", RECORDED["grouped"], ids=lambda r: str(r["sizes"]))
def test_grouped_auc_equals_torchrec(recorded):
    """Groups of one class and of equal scores included, in whatever order the rows come."""
    labels, scores, weights = map(np.array, recorded["columns"])
    groups = np.repeat(np.arange(len(recorded["sizes"])), recorded["sizes"])
    order = np.random.default_rng(0).permutation(labels.size)
    value = grouped_auc(labels[order], scores[order], groups[order], weights[order])
    assert value == pytest.approx(recorded["gauc"], abs=1e-6)


def test_recorded_cases_hold_what_is_hard():
    """The recording has labels of one class, equal scores, zero weights and several updates."""
    updates = {name: case["updates"] for name, case in RECORDED["cases"].items()}
    assert not np.any(updates["labels all 0"][0][0]) and np.all(updates["labels all 1"][0][0])
    assert len(set(updates["equal scores"][0][1])) == 1
    assert not np.any(updates["zero weights"][0][2]) and len(updates["several updates"]) > 1
    assert tf.math.is_nan(NormalizedEntropy().result())
