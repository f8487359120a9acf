"""Cuts Criteo Kaggle's train.txt as the script of the DLRM paper does, for two recipes.

    python examples/criteo_kaggle_split.py dac/train.txt --out criteo

The file (https://www.kaggle.com/c/criteo-display-ad-challenge) has seven days in the order of time,
about as many rows each. Six sevenths train; the first half of the rest validates, the second half
tests. The recipes `criteo_kaggle_dlrm` and `deeprec_dlrm` read the three files. It prints the rows
and the checksum of each.
"""

import argparse
import itertools
import pathlib

from tfrec_models.datasets.checksums import checksums

DAYS = 7


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="train.txt, 45,840,617 rows")
    parser.add_argument("--out", default="criteo", help="folder to write to")
    options = parser.parse_args()
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    with open(options.file, "rb") as log:
        num_rows = sum(1 for _ in log)
    num_train = num_rows * (DAYS - 1) // DAYS
    num_validation = (num_rows - num_train) // 2
    counts = {
        "train": num_train,
        "validation": num_validation,
        "test": num_rows - num_train - num_validation,
    }
    with open(options.file, "rb") as log:
        for part, count in counts.items():
            temporary = out / f"{part}.tmp"
            with open(temporary, "wb") as file:
                file.writelines(itertools.islice(log, count))
            path = temporary.replace(out / f"{part}.txt")
            (record,) = checksums(path)
            print(f"{path}: {count:,} rows, {record['sha256']}")


if __name__ == "__main__":
    main()
