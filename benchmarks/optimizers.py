"""Times one optimizer step against the rows of the table, ours beside Keras's, and measures memory.

    python benchmarks/optimizers.py [--rows 10000 1000000] [--no-memory] [--json FILE]

A step applies the gradient of one lookup: 8,192 uniform ids into a table of 32 float32 columns.
Times are medians in milliseconds. The growth of each of ours is the ratio to itself on a table of
100,000 rows: the two take turns step by step, each as often before the other as after it, so that
a busy machine slows them alike and neither finds more of its rows in the cache. Then ours and
Keras's take turns in the same way; above 1,000,000 rows Keras's goes alone, for memory. Memory is
the peak of a fresh process that makes a table of 10,000,000 rows and trains it with RowWiseAdagrad,
less the peak of one that does the same with 10 rows.

Rows scattered over gigabytes miss the processor's page tables, so the native kernels move large
tables to large pages where Linux lets them. With TensorFlow's operations alone
(`TFREC_MODELS_NATIVE=0`), `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` does that.
"""

import argparse
import gc
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, optimizers

OPTIMIZERS = {
    "RowWiseAdagrad": optimizers.RowWiseAdagrad,
    "Adagrad": optimizers.Adagrad,
    "LazyAdam": optimizers.LazyAdam,
    "SGD": optimizers.SGD,
    "SGD, momentum": lambda: optimizers.SGD(momentum=0.9),
    "Ftrl": optimizers.Ftrl,
    "Keras Adagrad": keras.optimizers.Adagrad,
    "Keras Adam": keras.optimizers.Adam,
    "Keras SGD": keras.optimizers.SGD,
    "Keras SGD, momentum": lambda: keras.optimizers.SGD(momentum=0.9),
    "Keras Ftrl": keras.optimizers.Ftrl,
}
STOCK = {
    "RowWiseAdagrad": "Keras Adagrad",
    "Adagrad": "Keras Adagrad",
    "LazyAdam": "Keras Adam",
    "SGD": "Keras SGD",
    "SGD, momentum": "Keras SGD, momentum",
    "Ftrl": "Keras Ftrl",
}
REFERENCE_ROWS = 100_000
# So many that they name more rows than a processor's cache has room for.
BATCHES = 32
TOGETHER_UP_TO = 1_000_000
MEMORY_ROWS = 10_000_000


class Contestant:
    """One optimizer with a table of its own."""

    def __init__(self, make, rows, columns, num_ids):
        table = tf.Variable(lambda: tf.zeros((rows, columns)))
        optimizer = make()
        optimizer.build([table])
        values = tf.random.stateless_normal((num_ids, columns), seed=(0, 1))
        shape = tf.constant([rows, columns], tf.int64)
        # From its first lookup on, every dense read of a table is a copy; so it is in training.
        tf.gather(table, [0])
        rng = np.random.default_rng(0)
        batches = [tf.constant(rng.integers(0, rows, num_ids)) for _ in range(BATCHES)]
        self._batches = itertools.cycle(batches)

        @tf.function
        def step(ids):
            optimizer.apply([tf.IndexedSlices(values, ids, shape)], [table])

        self._step = step
        for _ in range(2):
            self.take_turn()

    def take_turn(self):
        """Takes a step, and returns its milliseconds."""
        ids = next(self._batches)
        start = time.perf_counter()
        self._step(ids)
        return 1e3 * (time.perf_counter() - start)


def race(contestants, budget_s):
    """Median milliseconds of each, taking turns in one order and then in the other."""
    start = time.perf_counter()
    times = {contestant: [] for contestant in contestants}
    for rounds in range(100):
        if rounds >= 2 and time.perf_counter() - start > budget_s:
            break
        for contestant in (*contestants, *reversed(contestants)):
            times[contestant].append(contestant.take_turn())
    return [statistics.median(times[contestant]) for contestant in contestants]


def compare(name, rows, columns, num_ids, budget_s):
    """Medians of one of our optimizers beside itself on few rows, and beside Keras's."""

    def enter(name, rows):
        return Contestant(OPTIMIZERS[name], rows, columns, num_ids)

    ours, reference = enter(name, rows), enter(name, REFERENCE_ROWS)
    ours_ms, reference_ms = race([ours, reference], budget_s)
    if rows <= TOGETHER_UP_TO:
        beside_ms, keras_ms = race([ours, enter(STOCK[name], rows)], budget_s)
    else:
        # Two tables of this size, their slots and Keras's temporaries may not fit in memory.
        del ours, reference
        gc.collect()
        beside_ms, (keras_ms,) = ours_ms, race([enter(STOCK[name], rows)], budget_s)
    return {
        "ours_ms": ours_ms,
        "growth": ours_ms / reference_ms,
        "keras_ms": keras_ms,
        "keras_over_ours": keras_ms / beside_ms,
    }


def peak_mib():
    """Of this program; `getrusage` counts what its parent had when it was started."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def train_for_memory(rows, columns, num_ids):
    """Makes and trains one table, then prints the peak memory of this process in MiB."""
    tables = EmbeddingBagCollection([EmbeddingBagConfig(rows, columns, "t")])
    tables.build()
    variables = tables.trainable_variables
    contestant = optimizers.RowWiseAdagrad()
    contestant.build(variables)

    @tf.function
    def step(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(tables({"t": ids}).values()))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        contestant.apply(gradients, variables)

    rng = np.random.default_rng(0)
    for _ in range(5):
        step(tf.constant(rng.integers(0, rows, num_ids)))
    print(peak_mib())


def memory(columns, num_ids):
    """Peak memory of training, over an almost empty process, beside table and state in MiB."""
    peaks = {}
    for rows in (10, MEMORY_ROWS):
        command = [sys.executable, __file__, "--memory-of", str(rows)]
        command += ["--columns", str(columns), "--ids", str(num_ids)]
        peaks[rows] = float(subprocess.run(command, check=True, capture_output=True).stdout)
    needed = MEMORY_ROWS * (columns + 1) * 4 / 2**20
    used = peaks[MEMORY_ROWS] - peaks[10]
    return {"rows": MEMORY_ROWS, "needed_mib": needed, "used_mib": used, "ratio": used / needed}


def markdown(results):
    """Times and the two ratios, each of which is of one race."""
    lines = [
        "| optimizer | rows | ms a step | Keras's ms | Keras's / ours | ours / ours at "
        f"{REFERENCE_ROWS:,} rows |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for cell in results:
        lines.append(
            f"| {cell['optimizer']} | {cell['rows']:,} | {cell['ours_ms']:.2f} | "
            f"{cell['keras_ms']:.2f} | {cell['keras_over_ours']:.2f} | {cell['growth']:.2f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    sizes = [10_000, 100_000, 1_000_000, 4_000_000, 10_000_000]
    parser.add_argument("--rows", type=int, nargs="+", default=sizes)
    parser.add_argument("--optimizers", nargs="+", default=list(STOCK), choices=list(STOCK))
    parser.add_argument("--columns", type=int, default=32)
    parser.add_argument("--ids", type=int, default=8192)
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each line")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", help="also write the figures to this file")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        train_for_memory(arguments.memory_of, arguments.columns, arguments.ids)
        return
    results = {"columns": arguments.columns, "ids": arguments.ids}
    results["steps"] = []
    for name in arguments.optimizers:
        for rows in arguments.rows:
            cell = compare(name, rows, arguments.columns, arguments.ids, arguments.seconds)
            results["steps"].append({"optimizer": name, "rows": rows} | cell)
            print(cell, file=sys.stderr, flush=True)
    print(markdown(results["steps"]))
    if not arguments.no_memory:
        results["memory"] = found = memory(arguments.columns, arguments.ids)
        print(
            f"\nRowWiseAdagrad, {found['rows']:,} rows: {found['used_mib']:.0f} MiB at peak, "
            f"{found['ratio']:.3f} of table and state ({found['needed_mib']:.0f} MiB)."
        )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    main()
