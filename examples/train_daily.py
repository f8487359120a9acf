#!/usr/bin/env python
"""Trains a DLRM day by day on a log whose ids change, with tables of a fixed size.

    python examples/train_daily.py [--policy managed] [--days 10] [--out models/daily]

Each day a third of the users and items are new. Yesterday's model is loaded, tried on today's log
before it has seen it, trained on it, and saved for tomorrow: what a production ranker does. With
`id_policy="managed"` new ids take over the rows of ids that left. Everything is generated; it takes
two minutes on a CPU.
"""

import argparse
import os
import pathlib
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfrec_models import DLRM  # noqa: E402
from tfrec_models.layers import (  # noqa: E402
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    ManagedIds,
    ManagedIdsLogger,
)
from tfrec_models.metrics import ExactAUC  # noqa: E402
from tfrec_models.optimizers import CompositeOptimizer, LazyAdam  # noqa: E402

FEATURES = ("user", "item")
ACTIVE, NEW_A_DAY = 12_000, 4_000
EXAMPLES, BATCH = 120_000, 1024


def num_ids(days):
    """The ids of each feature that appear within so many days."""
    return ACTIVE + NEW_A_DAY * (days - 1)


def make_day(day):
    """Returns the log of one day: dense features, numbers of users and items, labels.

    A label depends on a weight of its user, one of its item, and the dense features; some users and
    items are in the log far more often than others.
    """
    rng = np.random.default_rng(day)
    weights = np.random.default_rng(12345).normal(size=(len(FEATURES), num_ids(100)))
    popularity = (np.arange(ACTIVE) + 20.0) ** -0.8
    numbers = []
    for feature in range(len(FEATURES)):
        # Who stays popular stays so: the active ids of a day, in an order of their own.
        active = NEW_A_DAY * day + np.random.default_rng(feature).permutation(ACTIVE)
        numbers.append(rng.choice(active, EXAMPLES, p=popularity / popularity.sum()))
    dense = rng.normal(size=(EXAMPLES, 4)).astype(np.float32)
    logits = sum(w[n] for w, n in zip(weights, numbers, strict=True)) + 0.5 * dense[:, 0] - 1.0
    labels = (rng.random(EXAMPLES) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    return dense, np.stack(numbers, axis=1), labels[:, np.newaxis]


def id_of(numbers):
    """64-bit ids, as a log has them."""
    return numbers * 0x1E3779B97F4A7C15


def dataset(day, to_ids):
    """The batches of a day."""
    dense, numbers, labels = make_day(day)
    inputs = {"dense_features": dense, "sparse_features": to_ids(numbers)}
    return tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(BATCH)


def make_model(rows, policy):
    """A small DLRM, compiled."""
    tables = [
        EmbeddingBagConfig(rows, 16, f"t_{name}", feature_names=[name], id_policy=policy)
        for name in FEATURES
    ]
    model = DLRM(EmbeddingBagCollection(tables), 4, [32, 16], [32, 1])
    model.build()
    model.compile(
        CompositeOptimizer(LazyAdam(0.01), keras.optimizers.Adam(0.001)),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[ExactAUC(from_logits=True, name="auc")],
    )
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--policy", choices=("managed", "hash"), default="managed")
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--out", type=pathlib.Path, help="directory of the models of each day")
    options = parser.parse_args()
    policy = ManagedIds(admit_after=2) if options.policy == "managed" else options.policy
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.out or pathlib.Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(0)
        for day in range(1, options.days + 1):
            if day == 1:
                model = make_model(num_ids(10) // 4, policy)
            else:
                model = keras.models.load_model(directory / f"day_{day - 1}.keras")
            batches = dataset(day, id_of)
            auc = model.evaluate(batches, verbose=0, return_dict=True)["auc"]
            history = model.fit(batches, verbose=0, callbacks=[ManagedIdsLogger()]).history
            model.save(directory / f"day_{day}.keras")
            line = f"day {day:2}: AUC before training on it {auc:.4f}"
            if "t_user/evicted" in history:
                line += (
                    f"; users admitted {history['t_user/admitted'][0]}, "
                    f"evicted {history['t_user/evicted'][0]}, "
                    f"rows in use {history['t_user/occupancy'][0]:.0%}"
                )
            print(line, flush=True)


if __name__ == "__main__":
    main()
