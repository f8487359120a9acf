"""Training at the shapes of DeepRec's DLRM, from a Criteo log as text and as Parquet.

    python benchmarks/deeprec_shapes.py --folder DIR [--rows 100000] [--rounds 3]

26 tables of the bucket sizes that DeepRec's modelzoo/dlrm/train.py prints, dim 16, dense arch
[512, 256, 64, 16], over arch [512, 256, 1], batches of 512, LazyAdam for the tables and Adam for
the rest. The log is drawn at random: a label, 13 integers and 26 hexadecimal texts a line. A round
is an epoch of `model.fit` straight from `read`, parsing and ids included, of which the samples a
second are counted; batches held in memory are beside them. DeepRec publishes 59,068 samples a
second on 4 cores of a Xeon 8369HC, 14,800 a core, with its own reader.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

import keras
import numpy as np
import pyarrow as pa
from peers.machine import commit, machine
from pyarrow import csv, parquet

from tfrec_models import DLRM
from tfrec_models._files import atomic_path
from tfrec_models.datasets import criteo_schema, read
from tfrec_models.optimizers import CompositeOptimizer, LazyAdam

RESULTS = pathlib.Path(__file__).parent / "results" / "deeprec_shapes.json"
BATCH_SIZE, DIM = 512, 16
BUCKETS = [2500, 2000, 300_000, 250_000, 1000, 100, 20_000, 4000, 20, 100_000, 10_000, 250_000]
BUCKETS += [40_000, 100, 100, 200_000, 50, 10_000, 4000, 20, 250_000, 100, 100, 250_000, 400]
BUCKETS += [100_000]


def write(folder, rows):
    """The log as text and as Parquet."""
    rng = np.random.default_rng(0)
    columns = {"label": rng.integers(0, 2, rows)}
    columns.update({f"int_{i}": rng.geometric(0.05, rows) for i in range(13)})
    for number, size in enumerate(BUCKETS):
        texts = np.array([f"{value:08x}" for value in rng.integers(0, 2**32, size)])
        columns[f"cat_{number}"] = texts[rng.zipf(1.2, rows) % size]
    table = pa.table(columns)
    paths = folder / "log.tsv", folder / "log.parquet"
    options = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with atomic_path(paths[0]) as pending:
        csv.write_csv(table, pending, options)
    with atomic_path(paths[1]) as pending:
        parquet.write_table(table, pending)
    return paths


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    schema = criteo_schema(BUCKETS)
    text, columns = write(options.folder, options.rows)
    datasets = {
        "text": read(text, schema, BATCH_SIZE, drop_remainder=True),
        "Parquet": read(columns, schema, BATCH_SIZE, drop_remainder=True),
    }
    datasets["memory"] = datasets["Parquet"].cache()
    model = DLRM(schema.collection(DIM), 13, [512, 256, 64, DIM], [512, 256, 1])
    model.compile(
        CompositeOptimizer(LazyAdam(0.001), keras.optimizers.Adam(0.001)),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    samples = options.rows // BATCH_SIZE * BATCH_SIZE
    rates = {name: [] for name in datasets}
    model.fit(datasets["memory"], verbose=0)
    for _ in range(options.rounds):
        for name, dataset in datasets.items():
            start, used = time.perf_counter(), time.process_time()
            model.fit(dataset, verbose=0)
            rates[name].append(
                (
                    samples / (time.perf_counter() - start),
                    samples / (time.process_time() - used),
                )
            )
    cores = len(os.sched_getaffinity(0))
    results = {
        name: {
            "samples_a_second": round(statistics.median(by_time for by_time, _ in found)),
            "samples_a_second_and_core": round(
                statistics.median(by_time for by_time, _ in found) / cores
            ),
            "samples_a_second_of_a_processor": round(statistics.median(u for _, u in found)),
        }
        for name, found in rates.items()
    }
    results = {"machine": machine(), "commit": commit(), "rows": options.rows, **results}
    print(json.dumps(results, indent=1))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
