"""What managed ids cost: a DLRM training step and an exported lookup, beside the "hash" policy.

Steps of both run in alternation in one process, on batches whose ids have a row but for a share of
ids never seen before; the cost is the median of the paired differences over the median step. 26
features, D = 64, 2,048 examples a step; exports rank 64 examples. Then the same step, and the
lookup with its update alone, of one table of D = 16 that all 26 features share, with 10,000,000
rows beside 100,000. "resize" is the largest memory while a small table grows beside a large one.

    python benchmarks/managed_ids.py [cost] [growth] [resize] [--repeats 40] [--out FILE]
"""

import argparse
import functools
import json
import os
import pathlib
import statistics
import tempfile
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfrec_models import DLRM, resize_tables  # noqa: E402
from tfrec_models.layers import (  # noqa: E402
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    ManagedIds,
)
from tfrec_models.native import id_map as id_map_native  # noqa: E402
from tfrec_models.optimizers import Adagrad, CompositeOptimizer, RowWiseAdagrad  # noqa: E402
from tfrec_models.serving import export  # noqa: E402

BATCH, FEATURES, DIM, BATCHES = 2048, 26, 64, 16


def make_model(rows, policy, features=FEATURES):
    tables = [EmbeddingBagConfig(rows, DIM, f"cat_{i}", id_policy=policy) for i in range(features)]
    model = DLRM(EmbeddingBagCollection(tables), 13, [512, 256, DIM], [512, 512, 256, 1])
    model.build()
    model.compile(
        CompositeOptimizer(RowWiseAdagrad(0.01), keras.optimizers.SGD(0.01)),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model


def id_of(numbers):
    """64-bit ids of numbers."""
    return numbers * 0x1E3779B97F4A7C15


def make_shared(rows, policy):
    """A model of one table that all features share."""
    features = [f"cat_{i}" for i in range(FEATURES)]
    table = EmbeddingBagConfig(rows, 16, "shared", feature_names=features, id_policy=policy)
    model = DLRM(EmbeddingBagCollection([table]), 13, [512, 256, 16], [512, 512, 256, 1])
    model.build()
    model.compile(
        CompositeOptimizer(RowWiseAdagrad(0.01), keras.optimizers.SGD(0.01)),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model


def fill(model, rows):
    """Gives the ids of nine tenths of all rows their row, in each table."""
    (stack,) = model.embedding_bag_collection.table_stacks
    id_map, tables = stack.id_map, len(stack.tables)
    admit = tf.function(functools.partial(id_map_native.admit, id_map.state, id_map.layout))
    for first in range(0, rows * 9 // 10, 50_000):
        ids = id_of(np.arange(first, min(first + 50_000, rows * 9 // 10)))
        admit(
            tf.constant(np.tile(ids, tables)),
            tf.constant(np.repeat(np.arange(tables, dtype=np.int32), len(ids))),
        )


def make_batches(rows, bag, share_new):
    rng = np.random.default_rng(0)
    batches = []
    for _ in range(BATCHES):
        numbers = rng.integers(0, rows * 9 // 10, (BATCH, FEATURES, bag))
        is_new = rng.random(numbers.shape) < share_new
        ids = tf.constant(
            np.where(is_new, rng.integers(-(2**62), 2**62, numbers.shape), id_of(numbers))
        )
        sparse = ids[:, :, 0] if bag == 1 else tf.RaggedTensor.from_tensor(ids, ragged_rank=2)
        dense = tf.constant(rng.normal(size=(BATCH, 13)), tf.float32)
        labels = tf.constant(rng.integers(0, 2, BATCH), tf.float32)
        batches.append(({"dense_features": dense, "sparse_features": sparse}, labels))
    return batches


def make_step(model, batches):
    step = tf.function(lambda batch: model.train_step(batch)["loss"])
    step(batches[0])
    return step


def make_table_step(model, batches):
    """The lookup and the update of the tables without the rest of the model."""
    collection = model.embedding_bag_collection
    (variable,) = collection.table_variables
    optimizer = RowWiseAdagrad(0.01)
    optimizer.build([variable])

    @tf.function
    def step(batch):
        with tf.GradientTape() as tape:
            pooled = collection(batch[0]["sparse_features"], training=True).values()
            loss = tf.reduce_sum(pooled)
        optimizer.apply(tape.gradient(loss, [variable.value]), [variable])
        return loss

    step(batches[0])
    return step


def seconds(function, *arguments):
    start = time.perf_counter()
    tf.nest.map_structure(lambda tensor: tensor.numpy(), function(*arguments))
    return time.perf_counter() - start


def compare(functions, arguments, repeats):
    """Median of the second's seconds, and the median of what the first takes more."""
    pairs = []
    for turn in range(repeats):
        given = arguments(turn)
        order = (0, 1) if turn % 2 else (1, 0)
        times = {which: seconds(functions[which], *given) for which in order}
        pairs.append((times[0], times[1]))
    plain = statistics.median(second for _, second in pairs)
    return plain, statistics.median(first - second for first, second in pairs)


def packed_function(model, directory):
    path = export(model, directory)
    return tf.saved_model.load(str(path)).signatures["serving_packed"]


def measure_cost(options, report):
    """Managed ids beside the "hash" policy."""
    models = [make_model(options.rows, policy) for policy in (ManagedIds(), "hash")]
    fill(models[0], options.rows)
    for bag in (1, 10):
        batches = make_batches(options.rows, bag, options.new)
        steps = [make_step(model, batches) for model in models]
        turns = compare(
            steps, lambda turn, given=batches: (given[turn % BATCHES],), options.repeats
        )
        report(f"training step, bags of {bag}", *turns)
    with tempfile.TemporaryDirectory() as directory:
        exported = [packed_function(m, f"{directory}/{i}") for i, m in enumerate(models)]
        inputs = {
            "dense_features": tf.zeros([64, 13]),
            "values": tf.reshape(
                tf.transpose(
                    batches[0][0]["sparse_features"].values[: 64 * FEATURES].to_tensor()[:, :1]
                ),
                [-1],
            ),
            "lengths": tf.ones([64 * FEATURES], tf.int64),
        }
        asked = [lambda function=function: function(**inputs) for function in exported]
        compare(asked, lambda turn: (), 20)
        report("exported, batch 64", *compare(asked, lambda turn: (), 10 * options.repeats))


def measure_growth(options, report):
    """A table of many rows beside one of few, with managed ids and with the "hash" policy."""
    for policy in (ManagedIds(), "hash"):
        sizes = (options.large, options.rows)
        models = [make_shared(rows, policy) for rows in sizes]
        batches = [make_batches(rows, 1, options.new) for rows in sizes]
        if policy != "hash":
            for model, rows in zip(models, sizes, strict=True):
                fill(model, rows)
        name = policy if policy == "hash" else "managed"
        for what, make in (("training step", make_step), ("tables alone", make_table_step)):
            steps = [make(*given) for given in zip(models, batches, strict=True)]
            asked = [
                lambda turn, step=step, given=given: step(given[turn % BATCHES])
                for step, given in zip(steps, batches, strict=True)
            ]
            turns = compare(asked, lambda turn: (turn,), options.repeats)
            report(f"{what}, {name}, {options.large} rows beside {options.rows}", *turns)
        del models, steps, asked


def memory():
    """Bytes of this process that no file backs."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def measure_resize(options):
    """The largest memory of `resize_tables` over that before it, in bytes of all tables."""
    tables = [
        EmbeddingBagConfig(rows, DIM, name, id_policy="managed")
        for name, rows in (("large", options.large // 10), ("small", options.rows // 10))
    ]
    model = DLRM(EmbeddingBagCollection(tables), 13, [512, 256, DIM], [512, 512, 256, 1])
    model.build()
    model.compile(Adagrad(0.01), keras.losses.BinaryCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
    largest, is_over, before = [0], threading.Event(), memory()

    def watch():
        while not is_over.wait(0.002):
            largest[0] = max(largest[0], memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    resize_tables(model, {"small": options.rows // 5})
    is_over.set()
    watcher.join()
    size = 2 * 4 * DIM * sum(table.num_rows for table in tables)
    print(f"tables and slots {size / 1e6:.0f} MB, before {before / 1e6:.0f} MB")
    print(f"at most {(largest[0] - before) / size:+.2f} of tables and slots more than before")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("parts", nargs="*", default=["cost", "growth"], metavar="PART")
    parser.add_argument("--large", type=int, default=10_000_000, help="rows of the large table")
    parser.add_argument("--repeats", type=int, default=40, help="pairs of steps measured")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of each table")
    parser.add_argument("--new", type=float, default=0.01, help="share of ids never seen before")
    parser.add_argument("--out", type=pathlib.Path, help="write the figures there, as JSON")
    options = parser.parse_args()
    results = []
    print("| what | plain, ms | more |\n|---|---|---|")

    def report(what, plain, more):
        results.append({"what": what, "plain_ms": plain * 1e3, "cost": more / plain})
        print(f"| {what} | {plain * 1e3:.2f} | {more / plain:+.1%} |", flush=True)

    if "cost" in options.parts:
        measure_cost(options, report)
    if "growth" in options.parts:
        measure_growth(options, report)
    if "resize" in options.parts:
        measure_resize(options)
    if options.out:
        options.out.write_text(
            json.dumps({"options": vars(options) | {"out": ""}, "rows": results})
        )


if __name__ == "__main__":
    main()
