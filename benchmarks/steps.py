"""What a step costs: beside the rows of its tables, batches of many sizes, and the guard of NaN.

- `rows`: a step of `fit`, `evaluate` and `predict` of a trained model with 1,000,000 rows a table
  over one with 10,000: native kernels and stock operations, every form of input, bags of 1, 3 and
  10. The ids of both are of 10,000 rows of each table, anywhere in the larger one: of ids of
  all rows (`--ids uniform`) a batch of large bags has more distinct rows to read and update.
  The two take turns; the ratio is that of the fastest steps of each, and the median of turns.
- `batch_sizes`: `fit` over eighty batch sizes, over the same steps again.
- `nan`: a training step with and without what keeps NaN in activations.

    python benchmarks/steps.py rows|batch_sizes|nan [--path native] [--repeats 20] [--ids uniform]
        [--bags 1 3 10] [--out FILE]
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import sys
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tests.numerics.models import FAMILIES, make  # noqa: E402
from tfrec_models import (  # noqa: E402
    DLRM,
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    KeyedJaggedTensor,
    native,
)
from tfrec_models.layers import perceptron  # noqa: E402
from tfrec_models.optimizers import CompositeOptimizer, RowWiseAdagrad  # noqa: E402

PATHS = {"native": contextlib.nullcontext, "stock": native.native_disabled}
CALLS = ("fit", "evaluate", "predict")
BATCH, FEATURES, DIM, BATCHES = 2048, 8, 64, 8
NAMES = [f"f{i}" for i in range(FEATURES)]


def make_model(rows, features=FEATURES, dense=512):
    tables = [
        EmbeddingBagConfig(rows, DIM, f"t{i}", feature_names=[f"f{i}"]) for i in range(features)
    ]
    model = DLRM(EmbeddingBagCollection(tables), 13, [dense, 256, DIM], [dense, dense, 256, 1])
    model.build()
    model.compile(
        CompositeOptimizer(RowWiseAdagrad(0.01), keras.optimizers.SGD(0.01)),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model


def sparse_input(form, ids):
    """Ids of shape `(batch, features, bag)` in one form of input."""
    if form == "packed_ids":
        return tf.constant(ids[:, :, 0] if ids.shape[2] == 1 else ids)
    if form == "dense":
        return {name: tf.constant(ids[:, i]) for i, name in enumerate(NAMES)}
    if form == "kjt":
        flat = tf.constant(ids.transpose(1, 0, 2).reshape(-1))
        lengths = tf.constant(np.full(ids.shape[0] * ids.shape[1], ids.shape[2]))
        return KeyedJaggedTensor.from_lengths_sync(NAMES, flat, lengths)
    packed = tf.RaggedTensor.from_tensor(tf.constant(ids), ragged_rank=2)
    return {name: packed[:, i] for i, name in enumerate(NAMES)} if form == "dict" else packed


def batches_of(form, bag, rows, used=None):
    """Batches held in memory, whose ids are drawn from `used` rows of each table."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(rows)[: used or rows]
    made = []
    for _ in range(BATCHES):
        ids = chosen[rng.integers(0, len(chosen), (BATCH, FEATURES, bag))]
        sparse = sparse_input(form, ids)
        dense = tf.constant(rng.normal(size=(BATCH, 13)), tf.float32)
        labels = tf.constant(rng.integers(0, 2, (BATCH, 1)), tf.float32)
        made.append(({"dense_features": dense, "sparse_features": sparse}, labels))
    return made


def step_of(model, call):
    """The function that Keras runs for a step of `fit`, `evaluate` or `predict`, traced anew."""
    maker = {"fit": "train", "evaluate": "test", "predict": "predict"}[call]
    getattr(model, f"make_{maker}_function")(force=True)
    function = getattr(model, f"{maker}_function")
    # Keras hands the batches themselves to that of `predict`.
    return function if call == "predict" else lambda batches: function(iter(batches))


def seconds(function, batch):
    start = time.perf_counter()
    outputs = function([batch])
    tf.nest.map_structure(lambda tensor: tensor.numpy(), outputs)
    return time.perf_counter() - start


def in_turns(functions, arguments, repeats):
    """The seconds of both functions, a pair for each turn."""
    pairs = []
    for turn in range(repeats):
        times = {}
        for which in (0, 1) if turn % 2 else (1, 0):
            times[which] = seconds(functions[which], arguments[which][turn % BATCHES])
        pairs.append((times[0], times[1]))
    return pairs


def measure_rows(options):
    counts = (10_000, 1_000_000)
    models = [make_model(rows) for rows in counts]
    cells = [
        (form, bag)
        for bag in options.bags
        for form in ("packed_ids", "dense", "packed", "dict", "kjt")
        if form != "packed_ids" or bag == 1
    ]
    for path in [options.path] if options.path else list(PATHS):
        for form, bag in cells:
            used = counts[0] if options.ids == "equal" else None
            made = [batches_of(form, bag, rows, used) for rows in counts]
            for call in CALLS:
                with PATHS[path]():
                    steps = [step_of(model, call) for model in models]
                    in_turns(steps, made, 3)
                pairs = in_turns(steps, made, options.repeats)
                few, many = (min(times) for times in zip(*pairs, strict=True))
                yield {
                    "path": path,
                    "ids": options.ids,
                    "form": form,
                    "bag": bag,
                    "call": call,
                    "few_ms": round(few * 1e3, 2),
                    "many_ms": round(many * 1e3, 2),
                    "ratio": round(many / few, 3),
                    "median_of_turns": round(statistics.median(m / f for f, m in pairs), 3),
                }


def measure_batch_sizes(options):
    sizes = [16 + 3 * i for i in range(80)]
    rng = np.random.default_rng(0)

    def examples():
        for size in sizes:
            x = {
                "dense_features": np.ones((size, 3), "float32"),
                "sparse_features": rng.integers(0, 10, (size, 2)),
            }
            yield x, np.ones((size, 1), "float32")

    specs = (
        {
            "dense_features": tf.TensorSpec((None, 3), tf.float32),
            "sparse_features": tf.TensorSpec((None, 2), tf.int64),
        },
        tf.TensorSpec((None, 1), tf.float32),
    )
    data = tf.data.Dataset.from_generator(examples, output_signature=specs)
    one = tf.data.Dataset.from_tensors(next(examples()))
    for path in [options.path] if options.path else list(PATHS):
        for family in FAMILIES:
            with PATHS[path]():
                model = make(family, dim=16)
                model.compile(RowWiseAdagrad(0.05), "mse")
                # The trace, and the program of the first size.
                model.fit(one, verbose=0)
                times = []
                for _ in range(3):
                    start = time.perf_counter()
                    model.fit(data, verbose=0)
                    times.append(time.perf_counter() - start)
            yield {
                "path": path,
                "family": family,
                "first_s": round(times[0], 3),
                "again_s": round(min(times[1:]), 3),
                "beyond_the_steps_s": round(times[0] - min(times[1:]), 3),
            }


def measure_nan(options):
    """Of 26 features and layers of 512, as `compare.py` has them."""
    global FEATURES, NAMES
    FEATURES, NAMES = 26, [f"f{i}" for i in range(26)]
    made = batches_of("packed_ids", 1, 100_000)
    model = make_model(100_000, 26)

    def without(activation, values):
        return activation(values)

    for path in [options.path] if options.path else list(PATHS):
        for call in CALLS:
            with PATHS[path](), mock.patch.object(perceptron, "activate", without):
                plain = step_of(model, call)
                seconds(plain, made[0])
            with PATHS[path]():
                guarded = step_of(model, call)
                seconds(guarded, made[0])
            pairs = in_turns([plain, guarded], [made, made], options.repeats)
            base, more = (
                statistics.median(p for p, _ in pairs),
                statistics.median(g - p for p, g in pairs),
            )
            fastest = [min(times) for times in zip(*pairs, strict=True)]
            yield {
                "path": path,
                "call": call,
                "step_ms": round(base * 1e3, 2),
                "price": round(more / base, 4),
                "price_of_fastest": round(fastest[1] / fastest[0] - 1, 4),
            }


MEASUREMENTS = {"rows": measure_rows, "batch_sizes": measure_batch_sizes, "nan": measure_nan}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--path", choices=PATHS, help="one of the two; both unless it is given")
    parser.add_argument("--bags", type=int, nargs="+", default=[1, 3, 10], help="ids in a bag")
    parser.add_argument(
        "--ids",
        choices=("equal", "uniform"),
        default="equal",
        help="equal: of 10,000 rows, wherever they lie, so that a batch has as many distinct rows "
        "in both; uniform: of all rows",
    )
    parser.add_argument("--repeats", type=int, default=20, help="turns that are measured")
    parser.add_argument("--out", type=pathlib.Path, help="write the figures there, as JSON")
    options = parser.parse_args()
    rows = []
    for row in MEASUREMENTS[options.what](options):
        print(json.dumps(row), flush=True)
        rows.append(row)
    if options.out:
        options.out.write_text(json.dumps({"what": options.what, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
