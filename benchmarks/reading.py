"""Rows a second that `read` gives from files of Criteo's shape and of lists.

    taskset -c 0 python benchmarks/reading.py --cases parquet --out parquet.json
    python benchmarks/reading.py --cases tsv --out tsv.json

Files are written once to `--folder` and read with a warm page cache; a number is the median of
`--repeats` passes over all rows. Rows by second of processor time (of all threads) say what a
core does even where other processes share it; rows by second are what was waited for. Beside text
stands `polars.read_csv` of the same file, where polars is installed: its columns as text and
numbers in memory, without ids, transforms or batches. A pass of one takes turns with the other's.
"""

import argparse
import functools
import json
import os
import pathlib
import platform
import tempfile
import time
from importlib import metadata, util

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tfrec_models.datasets import Dense, Schema, Sparse, read

NUM_DENSE, NUM_SPARSE = 13, 26


def schema(is_list, ids):
    """Criteo's columns."""
    return Schema(
        "label",
        [Dense(f"int_{i}", fill=0, transform="log1p") for i in range(NUM_DENSE)],
        [Sparse(f"cat_{i}", ids=ids, num_ids=100_000, is_list=is_list) for i in range(NUM_SPARSE)],
    )


def table(num_rows, kind, seed):
    """Rows with integer ids, hexadecimal text, or lists of three integers in the mean."""
    rng = np.random.default_rng(seed)
    columns = {"label": rng.integers(0, 2, num_rows).astype(np.int8)}
    for i in range(NUM_DENSE):
        values = rng.integers(0, 1000, num_rows).astype(np.int32)
        columns[f"int_{i}"] = pa.array(values, mask=rng.random(num_rows) < 0.1)
    for i in range(NUM_SPARSE):
        size = 10 ** (2 + i % 5)
        if kind == "lists":
            splits = np.zeros(num_rows + 1, np.int32)
            np.cumsum(rng.integers(0, 7, num_rows), out=splits[1:])
            ids = rng.zipf(1.2, splits[-1]) % size
            columns[f"cat_{i}"] = pa.ListArray.from_arrays(splits, pa.array(ids))
        else:
            ids = rng.zipf(1.2, num_rows) % size * 7919 % 2**32
            columns[f"cat_{i}"] = [f"{n:08x}" for n in ids] if kind == "hex" else pa.array(ids)
    return pa.table(columns)


CASES = {
    # name: (kind of ids, how they become ids, is_list, format)
    "parquet, single integers, as they are": ("ids", "integer", False, "parquet"),
    "parquet, single integers, hashed": ("ids", "hash", False, "parquet"),
    "parquet, single hexadecimal texts": ("hex", "hex", False, "parquet"),
    "parquet, single texts, hashed": ("hex", "hash", False, "parquet"),
    "parquet, lists of integers, as they are": ("lists", "integer", True, "parquet"),
    "parquet, lists of integers, hashed": ("lists", "hash", True, "parquet"),
    "tsv, single hexadecimal texts": ("hex", "hex", False, "tsv"),
}


def write(folder, kind, form, num_rows):
    """The path of a file, written where it is not there."""
    path = folder / f"{kind}-{num_rows}.{form}"
    if not path.exists():
        rows = table(num_rows, kind, seed=0)
        if kind != "hex":
            for i in range(NUM_SPARSE):
                name = f"cat_{i}"
                column = rows[name].combine_chunks()
                if kind == "lists":
                    ids = pa.array(column.values.to_numpy() % 100_000)
                    column = pa.ListArray.from_arrays(column.offsets, ids)
                else:
                    column = pa.array(column.to_numpy() % 100_000)
                rows = rows.set_column(rows.column_names.index(name), name, column)
        if form == "parquet":
            pq.write_table(rows, path, row_group_size=131_072)
        else:
            options = pyarrow.csv.WriteOptions(delimiter="\t", quoting_style="none")
            pyarrow.csv.write_csv(rows, path, options)
    return path


def rows_of_read(path, of, batch_size, shuffle):
    """Reads a file as batches; returns its rows."""
    dataset = read(path, of, batch_size, shuffle=shuffle, seed=0 if shuffle else None)
    return sum(features["dense_features"].shape[0] for features, _ in dataset)


def rows_of_polars(path, of):
    """Reads a file of text as a data frame of polars; returns its rows."""
    import polars

    types = {of.label: polars.Int8} | {column.name: polars.Int64 for column in of.dense}
    types |= {column.name: polars.String for column in of.sparse}
    return len(polars.read_csv(path, separator="\t", schema=types))


def rates(passes, repeats):
    """Of each function: medians of rows by second, and by second of processor time.

    Args:
        passes: list of functions that read a file and return its rows; they take turns.
    """
    measured = [[] for _ in passes]
    for _ in range(repeats + 1):
        for function, of_function in zip(passes, measured, strict=True):
            start, processor = time.perf_counter(), time.process_time()
            rows = function()
            of_function.append(
                (rows / (time.perf_counter() - start), rows / (time.process_time() - processor))
            )
    medians = [np.median(of_function[1:], axis=0) for of_function in measured]
    return [
        {"rows_per_s": round(by_second), "rows_per_processor_s": round(by_processor)}
        for by_second, by_processor in medians
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=524_288)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", nargs="*", default=list(CASES), help="beginnings of their names")
    parser.add_argument("--only-write", action="store_true", help="write the files and end")
    parser.add_argument("--shuffle", action="store_true")
    parser.add_argument("--folder", type=pathlib.Path, default=None)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    folder = arguments.folder or pathlib.Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, (kind, ids, is_list, form) in CASES.items():
        if not name.startswith(tuple(arguments.cases)):
            continue
        path, of = write(folder, kind, form, arguments.rows), schema(is_list, ids)
        if arguments.only_write:
            continue
        passes = [
            functools.partial(rows_of_read, path, of, arguments.batch_size, arguments.shuffle)
        ]
        names = [name]
        if form == "tsv" and util.find_spec("polars"):
            passes.append(functools.partial(rows_of_polars, path, of))
            names.append(f"{name}, polars {metadata.version('polars')}")
        for of_name, rate in zip(names, rates(passes, arguments.repeats), strict=True):
            results[of_name] = rate
            print(of_name, rate, flush=True)
    report = {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "rows": arguments.rows,
        "batch_size": arguments.batch_size,
        "shuffle": arguments.shuffle,
        "results": results,
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
