"""What metrics in `compile` cost: their share of a DLRM training step.

    python benchmarks/metrics.py [--rows 100000] [--batch 2048] [--rounds 4] [--json FILE]

Two models of the same shapes train in one process, one with metrics and one without. They take
turns in blocks of steps, each as often first as second, so that a busy machine slows both alike;
ratios are taken round by round. Every block has rows of its own, whose labels follow from the dense
features, and is an epoch: the steps in which ExactAUC divides the scores are in the mean. A step is
timed from callbacks: the logs of Keras and the value of each metric after every step are in it, the
end of an epoch is not. The first block of each is left out, where the step is traced.

The share is that of the processor's time of all threads, which other processes hardly move; that of
the clock's time is beside it.
"""

import argparse
import json
import os
import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from peers import workload as w
from peers.machine import commit, machine

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.metrics import Calibration, ExactAUC, NormalizedEntropy
from tfrec_models.optimizers import CompositeOptimizer, RowWiseAdagrad

METRICS = {
    "no metrics": [],
    "NormalizedEntropy": [NormalizedEntropy],
    "Calibration": [Calibration],
    "ExactAUC": [ExactAUC],
    "all three": [NormalizedEntropy, Calibration, ExactAUC],
    "keras.metrics.AUC": [keras.metrics.AUC],
}


class StepTimes(keras.callbacks.Callback):
    """Milliseconds of each step, of the processor and of the clock."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_begin(self, batch, logs=None):
        self._start = self._now()

    def on_train_batch_end(self, batch, logs=None):
        ends = zip(self._now(), self._start, strict=True)
        self.steps.append([1000 * (now - start) for now, start in ends])

    def _now(self):
        return time.process_time(), time.perf_counter()


class Contestant:
    """A DLRM with metrics, or without."""

    def __init__(self, metrics, arguments):
        keras.utils.set_random_seed(0)
        names = [f"f{i}" for i in range(26)]
        tables = [
            EmbeddingBagConfig(arguments.rows, w.DIM, name, feature_names=[name]) for name in names
        ]
        self._model = DLRM(EmbeddingBagCollection(tables), w.DENSE, w.DENSE_ARCH, w.OVER_ARCH)
        self._model.compile(
            CompositeOptimizer(RowWiseAdagrad(w.TABLE_RATE), keras.optimizers.SGD(w.DENSE_RATE)),
            keras.losses.BinaryCrossentropy(from_logits=True),
            metrics=[metric(from_logits=True) for metric in metrics],
        )
        self._arguments = arguments

    def block(self, number):
        """Milliseconds of a step, of the processor and of the clock, the means of one epoch."""
        times = StepTimes()
        data = batches(self._arguments, number)
        self._model.fit(data, callbacks=[times], verbose=0, shuffle=False)
        return [statistics.mean(of_steps) for of_steps in zip(*times.steps, strict=True)]


def batches(arguments, number):
    """The batches of one block, held in memory."""
    rng = np.random.default_rng([0, number])
    shape = (arguments.steps, arguments.batch)
    features = {
        "dense_features": rng.normal(size=(*shape, w.DENSE)).astype(np.float32),
        "sparse_features": rng.integers(0, arguments.rows, (*shape, 26)),
    }
    logits = features["dense_features"].sum(axis=-1) / 2 - 1
    labels = (rng.random(shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((features, labels)).cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="of each of 26 tables")
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=500, help="of a block")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--metrics", nargs="+", choices=list(METRICS), default=["all three"])
    parser.add_argument("--json", help="also write the figures to this file")
    arguments = parser.parse_args()

    bare = Contestant([], arguments)
    results = {"settings": vars(arguments), "machine": machine(), "commit": commit()}
    results["metrics"] = {}
    bare.block(0)
    for name in arguments.metrics:
        measured = Contestant(METRICS[name], arguments)
        measured.block(0)
        rounds = []
        for number in range(arguments.rounds):
            pair = [("with", measured), ("without", bare)][:: 1 if number % 2 else -1]
            rounds.append({key: contestant.block(1 + number) for key, contestant in pair})
        result = {"rounds_ms": rounds}
        for number, clock in enumerate(("processor", "clock")):
            ms = {key: [entry[key][number] for entry in rounds] for key in ("without", "with")}
            ratios = zip(ms["with"], ms["without"], strict=True)
            shares = sorted(with_ / without - 1 for with_, without in ratios)
            result[clock] = {
                "ms_without": statistics.median(ms["without"]),
                "ms_with": statistics.median(ms["with"]),
                "share": statistics.median(shares),
                "lowest": shares[0],
                "highest": shares[-1],
            }
            print(
                f"{name}, time of the {clock}: {result[clock]['ms_without']:.1f} ms a step "
                f"without, {result[clock]['ms_with']:.1f} with; a share of "
                f"{100 * statistics.median(shares):.1f} % "
                f"({100 * shares[0]:.1f} to {100 * shares[-1]:.1f})",
                flush=True,
            )
        results["metrics"][name] = result
        del measured
    if arguments.json:
        temporary = f"{arguments.json}.tmp"
        with open(temporary, "w") as file:
            json.dump(results, file, indent=1)
        os.replace(temporary, arguments.json)


if __name__ == "__main__":
    main()
