"""Writes MovieLens' ratings as the three files of the recipe `movielens_dlrm`, cut by time.

    python examples/movielens_to_parquet.py ml-20m --out movielens

takes the folder with ratings.csv and movies.csv of MovieLens 20M, 25M, 32M or "latest"
(https://grouplens.org/datasets/movielens). The first 80 % of the ratings train, the next 10 %
validate, the last 10 % test. It prints the rows and the checksum of each file.
"""

import argparse
import pathlib

import pyarrow.parquet as pq

from tfrec_models.datasets import movielens_log
from tfrec_models.datasets.checksums import checksums

CUTS = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="with ratings.csv and movies.csv")
    parser.add_argument("--out", default="movielens", help="folder to write to")
    options = parser.parse_args()
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    log = movielens_log(options.folder).sort_by("timestamp")
    for part, (start, stop) in CUTS.items():
        first, end = int(start * log.num_rows), int(stop * log.num_rows)
        path = out / f"{part}.parquet"
        pq.write_table(log.slice(first, end - first), path)
        (record,) = checksums(path)
        print(f"{path}: {record['rows']:,} rows, {record['sha256']}")


if __name__ == "__main__":
    main()
