"""Ready schemas against the readers that were there before."""

import numpy as np
import pyarrow.parquet as pq
from pyarrow import csv

from tfrec_models.datasets import DEFAULT_COLUMN_NAMES, criteo_schema, criteo_tsv, read


def write(path, labels=True):
    """Lines of Criteo's raw format with missing, negative and short fields."""
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(300):
        ints = [str(n) if n > -3 else "" for n in rng.integers(-3, 9000, 13)]
        cats = [f"{n:08x}" if n % 7 else "" for n in rng.integers(0, 2**32, 26)]
        lines.append("\t".join([*([str(rng.integers(0, 2))] if labels else []), *ints, *cats]))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def check(dataset, expected):
    """Two datasets give the same batches."""
    count = 0
    for (features, labels), (of_features, of_labels) in zip(dataset, expected, strict=True):
        np.testing.assert_allclose(
            features["dense_features"], of_features["dense_features"], rtol=1e-6
        )
        np.testing.assert_array_equal(features["sparse_features"], of_features["sparse_features"])
        np.testing.assert_array_equal(labels, of_labels)
        count += len(labels)
    assert count == 300


def test_criteo_reads_as_criteo_tsv(tmp_path):
    """Text and Parquet of it give the batches of `criteo_tsv`, by either logarithm."""
    path = write(tmp_path / "day_0")
    check(read(path, criteo_schema(1000), 64), criteo_tsv(path, 64, 1000))
    log1p = criteo_schema(1000, transform="log1p")
    check(read(path, log1p, 64), criteo_tsv(path, 64, 1000, dense_min=1))
    # The same columns as Parquet.
    table = csv.read_csv(
        path,
        csv.ReadOptions(column_names=DEFAULT_COLUMN_NAMES),
        csv.ParseOptions(delimiter="\t"),
        csv.ConvertOptions(
            strings_can_be_null=True,
            column_types=dict.fromkeys(DEFAULT_COLUMN_NAMES[14:], "string"),
        ),
    )
    pq.write_table(table, tmp_path / "day_0.parquet")
    check(read(tmp_path / "day_0.parquet", criteo_schema(1000), 64), criteo_tsv(path, 64, 1000))


def test_criteo_without_labels(tmp_path):
    """Kaggle's test file gives features alone."""
    path = write(tmp_path / "test.txt", labels=False)
    batches = list(read(path, criteo_schema(1000, labels=False), 100))
    assert [batch["sparse_features"].shape for batch in batches] == [(100, 26)] * 3
