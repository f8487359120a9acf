"""Resident memory: of models made and dropped, of tables while they are made, of `predict`.

- `models`: models of each family with 100 MB of tables, one after the other: each is made, trained,
  evaluated, asked and dropped. What resident memory grows by for each of them, the first two aside.
- `tables`: the peak while a table is made over the memory of the table, by dtype and start.
- `predict`: the peak of a trained model's `predict` and `evaluate` over that of its `fit`.

    python benchmarks/memory.py models|tables|predict [--out FILE]

Linux only: peaks are read from and set back in /proc.
"""

import argparse
import contextlib
import gc
import json
import os
import pathlib
import sys
import tempfile

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
from tfrec_models.optimizers import Adagrad, CompositeOptimizer, RowWiseAdagrad  # noqa: E402

MODELS, WARM_UP = 10, 2
OPTIMIZERS = {
    "RowWiseAdagrad": lambda: RowWiseAdagrad(0.05),
    "RowWiseAdagrad and Adam": lambda: CompositeOptimizer(
        RowWiseAdagrad(0.05), keras.optimizers.Adam(0.01)
    ),
    "RowWiseAdagrad and Adagrad": lambda: CompositeOptimizer(RowWiseAdagrad(0.05), Adagrad(0.01)),
}
PATHS = {"native": contextlib.nullcontext, "stock": native.native_disabled}
MEGABYTE = 2**20


def resident(key="VmRSS"):
    """Bytes of resident memory now, or with VmHWM at the peak."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/self/status must have a line {key}.")


def forget_peak():
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def use(family, optimizer, scope, exports):
    """Makes a model of 100 MB of tables, uses and drops it."""
    x = {"dense_features": np.ones((64, 3), "float32"), "sparse_features": np.ones((64, 2), int)}
    data = tf.data.Dataset.from_tensor_slices((x, np.ones((64, 1), "float32"))).batch(16)
    with scope or contextlib.nullcontext():
        model = make(family, rows=204_800, dim=64)
        model.compile(OPTIMIZERS[optimizer](), "mse")
    model.fit(data, verbose=0)
    model.evaluate(data, verbose=0)
    model.predict(data, verbose=0)
    if exports:
        with tempfile.TemporaryDirectory() as directory:
            model.export(directory, verbose=False)


def measure_models():
    cases = [(family, "RowWiseAdagrad", None, False) for family in FAMILIES]
    cases += [("DLRM", name, None, False) for name in OPTIMIZERS if name != "RowWiseAdagrad"]
    cases += [("DLRM", "RowWiseAdagrad and Adam", None, True)]
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    cases += [("DLRM", "RowWiseAdagrad and Adam", strategy, False)]
    for family, optimizer, strategy, exports in cases:
        after = []
        for _ in range(MODELS):
            use(family, optimizer, strategy and strategy.scope(), exports)
            gc.collect()
            after.append(resident())
        growth = (after[-1] - after[WARM_UP - 1]) / (MODELS - WARM_UP) / MEGABYTE
        yield {
            "family": family,
            "optimizer": optimizer,
            "strategy": type(strategy).__name__ if strategy else "none",
            "calls": "fit, evaluate, predict" + (", export" if exports else ""),
            "growth_mb_a_model": round(growth, 2),
        }


STARTS = {
    "none": None,
    "RandomNormal": keras.initializers.RandomNormal(0.0, 0.1),
    "GlorotUniform": keras.initializers.GlorotUniform(),
    "Constant": keras.initializers.Constant(0.5),
    "a function": lambda shape, dtype: tf.random.normal(shape, dtype=dtype),
}


def measure_tables():
    for dtype in ("float32", "float64", "bfloat16", "float16"):
        size = 200 * MEGABYTE
        rows = size // (64 * tf.as_dtype(dtype).size)
        for start, init_fn in STARTS.items():
            for num in (1, 4):
                # The trace of what fills a table is no memory of the table.
                make_tables(64, num, dtype, init_fn)
                gc.collect()
                before = resident()
                forget_peak()
                layer = make_tables(rows // num, num, dtype, init_fn)
                peak = resident("VmHWM") - before
                held = resident() - before
                del layer
                gc.collect()
                yield {
                    "dtype": dtype,
                    "init_fn": start,
                    "tables": num,
                    "peak_over_table": round(peak / size, 3),
                    "held_over_table": round(held / size, 3),
                }


def make_tables(rows, num, dtype, init_fn):
    layer = EmbeddingBagCollection(
        [
            EmbeddingBagConfig(rows, 64, f"t{i}", dtype, [f"f{i}"], init_fn=init_fn)
            for i in range(num)
        ]
    )
    layer.build()
    return layer


def batch(form, bag, rows, features=4, examples=512):
    """One batch of bags of `bag` ids in one form of input."""
    ids = np.random.default_rng(0).integers(0, rows, (examples, features, bag))
    names = [f"f{i}" for i in range(features)]
    if form == "dense":
        sparse = {name: tf.constant(ids[:, i]) for i, name in enumerate(names)}
    elif form == "kjt":
        sparse = KeyedJaggedTensor.from_lengths_sync(
            names,
            tf.constant(ids.transpose(1, 0, 2).reshape(-1)),
            tf.constant(np.full(features * examples, bag)),
        )
    else:
        sparse = tf.RaggedTensor.from_tensor(tf.constant(ids), ragged_rank=2)
        if form == "dict":
            sparse = {name: sparse[:, i] for i, name in enumerate(names)}
    x = {"dense_features": tf.ones((examples, 13)), "sparse_features": sparse}
    return tf.data.Dataset.from_tensors((x, tf.ones((examples, 1)))).repeat(3)


def measure_predict():
    rows = 500_000
    tables = [EmbeddingBagConfig(rows, 64, f"t{i}", feature_names=[f"f{i}"]) for i in range(4)]
    model = DLRM(EmbeddingBagCollection(tables), 13, [64, 64], [64, 1])
    model.build()
    model.compile(CompositeOptimizer(RowWiseAdagrad(0.05), keras.optimizers.SGD(0.1)), "mse")
    for path, scope in PATHS.items():
        for form in ("dense", "packed", "dict", "kjt"):
            for bag in (1, 3, 10):
                data, peaks = batch(form, bag, rows), {}
                for call in ("fit", "predict", "evaluate"):
                    forget_peak()
                    with scope():
                        getattr(model, call)(data, verbose=0)
                    peaks[call] = resident("VmHWM")
                yield {
                    "path": path,
                    "form": form,
                    "bag": bag,
                    "predict_over_fit": round(peaks["predict"] / peaks["fit"], 4),
                    "evaluate_over_fit": round(peaks["evaluate"] / peaks["fit"], 4),
                    "fit_mb": round(peaks["fit"] / MEGABYTE),
                }
                # The next form and path trace anew.
                model.train_function = model.test_function = model.predict_function = None


MEASUREMENTS = {"models": measure_models, "tables": measure_tables, "predict": measure_predict}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--out", type=pathlib.Path, help="write the figures there, as JSON")
    options = parser.parse_args()
    rows = []
    for row in MEASUREMENTS[options.what]():
        print(json.dumps(row), flush=True)
        rows.append(row)
    if options.out:
        options.out.write_text(json.dumps({"what": options.what, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
