"""Training at the shapes that DeepRec publishes, from files to weights.

    python benchmarks/deeprec.py --folder DIR [--tables printed] [--rounds 5] [--json FILE]

The recipe `deeprec_dlrm`: 26 tables of 10,000 x 16, dense arch [512, 256, 64, 16], over arch [512,
256, 1], Adam, batches of 512. Rows of Criteo's shape are generated and trained on by `model.fit`
over `read` of a file of text, of the same rows in Parquet, and of what `convert` makes of them,
beside the batches of the last from memory. An epoch is a round, in another order each time; rows
a second are divided by the cores.

DeepRec's train.py hashes each feature to 10,000 ids, and lists other sizes, 19 million rows in all,
which `--tables printed` has. DeepRec's own figure, 59,068 samples a second in float32 on the four
cores of a Xeon Platinum 8369HC with its fused lookups, is in
https://github.com/DeepRec-AI/DeepRec/blob/main/modelzoo/dlrm/README.md: another machine, and the
log of Criteo.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import resource
import statistics
import time

import keras
import pyarrow.parquet as pq
from peers.machine import commit, machine
from reading import write

from tfrec_models.datasets import Schema, convert, read
from tfrec_models.recipes import Recipe, build_model, build_schema, find_recipe

PUBLISHED = 59_068 / 4
# HASH_BUCKET_SIZES of DeepRec's modelzoo/dlrm/train.py.
PRINTED = [
    *(2_500, 2_000, 5_000_000, 1_500_000, 1_000, 100, 20_000, 4_000, 20, 100_000, 10_000),
    *(5_000_000, 40_000, 100, 100, 3_000_000, 50, 10_000, 4_000, 20, 4_000_000, 100, 100),
    *(250_000, 400, 100_000),
]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, default=131_072, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--tables", choices=["used", "printed"], default="used")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--json", metavar="FILE", help="add the results to this file")
    arguments = parser.parse_args()
    if arguments.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")

    recipe = Recipe.load(find_recipe("deeprec_dlrm"))
    declared = build_schema(recipe)
    # The files written here name their columns themselves.
    sparse = declared.sparse
    if arguments.tables == "printed":
        sparse = [
            dataclasses.replace(column, num_ids=size)
            for column, size in zip(sparse, PRINTED, strict=True)
        ]
    schema = Schema(declared.label, declared.dense, sparse)
    batch_size = recipe.data.batch_size
    folder = arguments.folder / arguments.tables
    folder.mkdir(parents=True, exist_ok=True)
    sources = datasets(folder, arguments.rows, schema, batch_size)
    model = build_model(recipe, schema)
    rates = {name: [] for name in sources}
    for number in range(arguments.rounds + 1):
        for name in list(sources)[:: 1 if number % 2 else -1]:
            start = time.perf_counter()
            model.fit(sources[name], verbose=0)
            rate = arguments.rows / (time.perf_counter() - start) / os.cpu_count()
            # The first round traces and fills caches.
            rates[name] += [rate] if number else []
    found = {
        "machine": machine(),
        "commit": commit(),
        "rows": arguments.rows,
        "samples_a_second_and_core": {
            name: [round(f(of_source)) for f in (statistics.median, min, max)]
            for name, of_source in rates.items()
        },
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "published_by_deeprec": round(PUBLISHED),
    }
    print(json.dumps(found, indent=1))
    if arguments.json:
        file = pathlib.Path(arguments.json)
        results = json.loads(file.read_text()) if file.exists() else {}
        results[f"{arguments.tables}, {arguments.precision}"] = found
        file.write_text(json.dumps(results, indent=1) + "\n")


def datasets(folder, num_rows, schema, batch_size):
    """The same rows as text, as Parquet of text, as ready ids, and from memory."""
    text, parquet = (write(folder, "hex", form, num_rows) for form in ("tsv", "parquet"))
    if pq.read_metadata(parquet).num_rows != num_rows:
        raise SystemExit(f"{parquet} has another number of rows; remove it.")
    ready = folder / f"ready-{num_rows}"
    convert(text, schema, ready, progress=False, format="csv", delimiter="\t")
    prepared = Schema.load(ready / "schema.yaml")
    shuffled = {"shuffle": True, "seed": 0}
    return {
        "text": read(text, schema, batch_size, format="csv", delimiter="\t", **shuffled),
        "Parquet of the same text": read(parquet, schema, batch_size, **shuffled),
        "Parquet of ready ids": read(ready, prepared, batch_size, **shuffled),
        "memory": read(ready, prepared, batch_size).cache(),
    }


if __name__ == "__main__":
    main()
