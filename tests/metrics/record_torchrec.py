"""Records what torchrec.metrics gives for small cases; run where torchrec 1.8 is installed.

    python tests/metrics/record_torchrec.py

Writes torchrec_metrics.json beside this file: for each case the updates, the settings, and the
value of each metric over all examples and over the window, None where it is NaN.
"""

import json
import math
import pathlib

import numpy as np
import torch
from torchrec.metrics.auc import AUCMetric
from torchrec.metrics.calibration import CalibrationMetric
from torchrec.metrics.gauc import GAUCMetric
from torchrec.metrics.metrics_config import DefaultTaskInfo
from torchrec.metrics.ne import NEMetric
from torchrec.metrics.ne_with_recalibration import RecalibratedNEMetric

WINDOW, COEFFICIENT = 12, 0.3
METRICS = {
    "ne": (NEMetric, {}),
    "recalibrated_ne": (RecalibratedNEMetric, {"recalibration_coefficient": COEFFICIENT}),
    "calibration": (CalibrationMetric, {}),
    "auc": (AUCMetric, {}),
}


def cases():
    """Name, then updates of labels, probabilities and weights."""
    rng = np.random.default_rng(0)

    def update(size, labels=None, scores=None, weights=None):
        labels = rng.integers(0, 2, size) if labels is None else np.full(size, labels)
        scores = rng.random(size) if scores is None else np.full(size, scores)
        weights = rng.random(size) * 3 if weights is None else np.full(size, weights)
        return [values.astype(float).tolist() for values in (labels, scores, weights)]

    yield "one update", [update(8)]
    yield "several updates", [update(8), update(5), update(3), update(8), update(1)]
    yield "windows that end within an update", [update(5) for _ in range(7)]
    yield "weights of one", [update(8, weights=1), update(8, weights=1)]
    yield "labels all 0", [update(8, labels=0), update(4, labels=0)]
    yield "labels all 1", [update(8, labels=1), update(4, labels=1)]
    yield "equal scores", [update(8, scores=0.25)]
    yield "zero weights", [update(8, weights=0)]
    yield "an update of zero weights", [update(8), update(8, weights=0)]
    some = update(8)
    some[2][::2] = [0.0] * 4
    yield "some zero weights", [some]
    ends = update(8)
    ends[1] = [0.0, 1.0, 0.0, 1.0, 1e-13, 1 - 1e-13, 1e-7, 1 - 1e-7]
    yield "scores at the ends", [ends]


def value(metric, updates, prefix):
    cls, settings = METRICS[metric]
    computed = cls(1, 0, 8, [DefaultTaskInfo], window_size=WINDOW, **settings)
    for labels, scores, weights in updates:
        labels, scores, weights = (
            torch.tensor([column], dtype=torch.double) for column in (labels, scores, weights)
        )
        computed.update(
            predictions={"DefaultTask": scores},
            labels={"DefaultTask": labels},
            weights={"DefaultTask": weights},
        )
    (result,) = (v for k, v in computed.compute().items() if f"|{prefix}" in k)
    result = float(result)
    return None if math.isnan(result) else result


def grouped(rng, sizes):
    """Labels, scores, weights and group sizes, and TorchRec's GAUC of them."""
    total = sum(sizes)
    columns = [rng.integers(0, 2, total), rng.random(total), rng.random(total) * 3]
    if len(sizes) > 2:
        columns[0][: sizes[0]] = 1
        columns[1][sizes[0] : sizes[0] + sizes[1]] = 0.5
    # Its CPU kernel takes no doubles.
    columns = [column.astype(np.float32).tolist() for column in columns]
    metric = GAUCMetric(1, 0, 100, [DefaultTaskInfo], window_size=1000)
    labels, scores, weights = (torch.tensor([column]) for column in columns)
    metric.update(
        predictions={"DefaultTask": scores},
        labels={"DefaultTask": labels},
        weights={"DefaultTask": weights},
        num_candidates=torch.tensor(sizes),
    )
    (result,) = (float(v) for k, v in metric.compute().items() if k.endswith("lifetime_gauc"))
    return {"columns": columns, "sizes": sizes, "gauc": result}


def main():
    recorded = {"window": WINDOW, "coefficient": COEFFICIENT, "cases": {}, "grouped": []}
    for name, updates in cases():
        values = {}
        for metric in METRICS:
            if metric != "auc":
                values[metric] = value(metric, updates, "lifetime_")
            values[f"window_{metric}"] = value(metric, updates, "window_")
        recorded["cases"][name] = {"updates": updates, "values": values}
    rng = np.random.default_rng(1)
    for sizes in ([5, 7], [4, 6, 9, 3, 2], [1], [3, 3, 3]):
        recorded["grouped"].append(grouped(rng, sizes))
    path = pathlib.Path(__file__).with_name("torchrec_metrics.json")
    path.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
