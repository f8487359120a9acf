"""What checking ids costs: a DLRM training step with the "error" policy, and with no check at all.

Both steps run in alternation in one process; the cost is the median of the paired differences over
the median step. Shapes: 26 features, 100,000 rows each, D = 64, 2,048 examples a step.

    python benchmarks/id_policy.py
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig  # noqa: E402
from tfrec_models.embeddings import resolve_ids  # noqa: E402
from tfrec_models.optimizers import CompositeOptimizer, RowWiseAdagrad  # noqa: E402

BATCH, FEATURES, ROWS, DIM = 2048, 26, 100_000, 64


def make_model():
    # Tables of slightly different sizes, so that each id has to be held against its own limit.
    tables = [EmbeddingBagConfig(ROWS + i, DIM, f"cat_{i}") for i in range(FEATURES)]
    model = DLRM(EmbeddingBagCollection(tables), 13, [512, 256, DIM], [512, 512, 256, 1])
    model.compile(
        CompositeOptimizer(RowWiseAdagrad(0.01), keras.optimizers.SGD(0.01)),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model


def make_batch(bag):
    rng = np.random.default_rng(0)
    ids = tf.constant(rng.integers(0, ROWS, (BATCH, FEATURES, bag)))
    sparse = ids[:, :, 0] if bag == 1 else tf.RaggedTensor.from_tensor(ids, ragged_rank=2)
    dense = tf.constant(rng.normal(size=(BATCH, 13)), tf.float32)
    labels = tf.constant(rng.integers(0, 2, BATCH), tf.float32)
    return {"dense_features": dense, "sparse_features": sparse}, labels


def make_step(model, batch, checked):
    """A training step, traced with the check or with ids passed on as they are."""
    check = resolve_ids.resolve_in_tables
    if not checked:
        resolve_ids.resolve_in_tables = lambda stack, bags, _: tf.cast(bags.ids, stack.index_dtype)
    step = tf.function(lambda: model.train_step(batch)["loss"])
    step()
    resolve_ids.resolve_in_tables = check
    return step


def seconds(step):
    start = time.perf_counter()
    step().numpy()
    return time.perf_counter() - start


def in_turn(steps, first):
    """The seconds of both steps, run in one order and next time in the other."""
    times = {number: seconds(steps[number]) for number in (first, 1 - first)}
    return times[0], times[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repeats", type=int, default=60, help="pairs of steps measured")
    repeats = parser.parse_args().repeats
    model = make_model()
    print("| ids a bag | step, ms | cost of the check |\n|---|---|---|")
    for bag in (1, 3, 10):
        batch = make_batch(bag)
        steps = [make_step(model, batch, checked) for checked in (True, False)]
        pairs = [in_turn(steps, first=turn % 2) for turn in range(repeats)]
        step = statistics.median(without for _, without in pairs)
        cost = statistics.median(checked - without for checked, without in pairs)
        print(f"| {bag} | {step * 1e3:.1f} | {cost / step:+.1%} |", flush=True)


if __name__ == "__main__":
    main()
