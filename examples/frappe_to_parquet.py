"""Writes Frappe_x1, the BARS benchmark's split of Frappe, as the three files of the recipes.

    python examples/frappe_to_parquet.py train.csv valid.csv test.csv --out frappe

takes the benchmark's CSV files (https://huggingface.co/datasets/reczoo/Frappe_x1), and

    python examples/frappe_to_parquet.py frappe.npz --out frappe

NumPy arrays of the same rows, X_train, y_train, X_valid, y_valid, X_test and y_test. It prints the
rows, the share of positive ones and the checksum of each file.
"""

import argparse
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tfrec_models.datasets import frappe_schema
from tfrec_models.datasets.checksums import checksums

PARTS = {"train": "train", "validation": "valid", "test": "test"}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", help="train.csv valid.csv test.csv, or one .npz")
    parser.add_argument("--out", default="frappe", help="folder to write to (default: %(default)s)")
    options = parser.parse_args()
    if len(options.files) not in (1, 3):
        parser.error("takes three CSV files, or one .npz")
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    for number, (part, name) in enumerate(PARTS.items()):
        table = (
            table_of_csv(options.files[number])
            if len(options.files) == 3
            else table_of_arrays(options.files[0], name)
        )
        path = out / f"{part}.parquet"
        pq.write_table(table, path)
        positive = np.mean(table["label"].to_numpy())
        (record,) = checksums(path)
        print(f"{path}: {table.num_rows:,} rows, {positive:.2%} positive, {record['sha256']}")


def table_of_csv(path):
    """The rows of a CSV file with the columns of the schema."""
    return pyarrow.csv.read_csv(path).select(frappe_schema().columns)


def table_of_arrays(path, name):
    """The rows of one part of a .npz file."""
    arrays = np.load(path)
    ids, labels = arrays[f"X_{name}"], arrays[f"y_{name}"]
    label, *features = frappe_schema().columns
    columns = {feature: ids[:, i].astype("int64") for i, feature in enumerate(features)}
    return pa.table({label: labels.astype("int8"), **columns})


if __name__ == "__main__":
    main()
