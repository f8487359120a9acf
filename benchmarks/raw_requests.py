"""Raw rows of a log against the same rows as `datasets.read` prepares them: scores to the bit.

    python benchmarks/raw_requests.py [--rows 100000] [--json FILE]

A log of every kind of column, with gaps and values that training has not seen, is generated and
asked of one export by `serving_raw` and `serving_raw_examples`, and by `serving_packed` as batches
of `read`. Rows whose scores are not equal to the last bit are counted; any ends the script with 1.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import numpy as np

BATCH = 2000


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="write the results here as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = compare(folder, arguments.rows, arguments.seed)
    print(json.dumps(results, indent=2))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
    return int(any(results["rows that differ"].values()))


def compare(folder, rows, seed):
    """Trains nothing: the weights are as they start."""
    import tensorflow as tf

    from tfrec_models import DLRM
    from tfrec_models.datasets import Dense, Schema, Sparse, read
    from tfrec_models.serving import RequestWriter, export

    rng = np.random.default_rng(seed)
    schema = Schema(
        label="clicked",
        dense=[
            Dense("price", fill=0.5, transform="log1p"),
            Dense("score", transform="standardize"),
            Dense("depth", transform="quantile", num_buckets=4),
        ],
        sparse=[
            Sparse("user", ids="hash", num_ids=5000, missing="drop"),
            Sparse("item", ids="vocabulary", min_count=2),
            Sparse("seen", like="item", max_length=5, missing="drop"),
            Sparse("slot", ids="integer", num_ids=7),
            Sparse("both", cross=("item", "slot"), num_ids=1000),
        ],
    )
    schema.fit(log(rng, 5000), progress=False)
    model = DLRM(schema.collection(16), schema.num_dense, [32, 16], [32, 1])
    path = export(model, folder, schema=schema)
    writer, signatures = RequestWriter(path), tf.saved_model.load(path).signatures

    def ask(signature, batch):
        tensors = {
            name: tf.constant(array.tolist(), tf.string) if array.dtype == object else array
            for name, array in writer.inputs(batch, signature).items()
        }
        tensors = {name: tf.constant(tensor) for name, tensor in tensors.items()}
        return signatures[signature](**tensors)["logits"].numpy()

    differing, done = {"serving_raw": 0, "serving_raw_examples": 0}, 0
    while done < rows:
        number = min(BATCH, rows - done)
        table = log(rng, number)
        prepared = next(iter(read(table, schema, batch_size=number)))[0]
        expected = ask("serving_packed", prepared)
        for signature in differing:
            differing[signature] += int((ask(signature, table) != expected).any(axis=1).sum())
        done += number
    return {"rows": done, "rows that differ": differing}


def log(rng, rows):
    """A table of every column; items that are rare are not in the vocabulary."""
    import pyarrow as pa

    def gaps(values):
        return [None if rng.random() < 0.1 else value for value in values]

    def items(number):
        return [f"item {item}" for item in np.minimum(rng.zipf(1.3, number), 10**6)]

    # Multiples of an eighth, which a tf.Example's single precision holds.
    eighths = rng.integers(-800, 800, [rows, 2]) / 8
    return pa.table(
        {
            "clicked": rng.integers(0, 2, rows).astype(np.float32),
            "price": gaps(eighths[:, 0].tolist()),
            "score": eighths[:, 1],
            "depth": rng.integers(0, 99, rows),
            "user": gaps(f"u{user}" for user in rng.integers(0, 10**5, rows)),
            "item": items(rows),
            "seen": gaps(items(number) for number in rng.integers(0, 8, rows)),
            "slot": rng.integers(0, 7, rows),
        }
    )


if __name__ == "__main__":
    sys.exit(main())
