"""Renumbered ids against TorchRec's recorded ones."""

import numpy as np
import pytest

from tests.support import oracle
from tfrec_models.datasets import sparse_to_contiguous


def write(tmp_path, recorded):
    """The recorded input files."""
    paths = [tmp_path / f"day_{i}.npy" for i in (0, 1)]
    for i, path in enumerate(paths):
        np.save(path, recorded[f"in/file{i}"])
    return paths


def test_equals_torchrec(tmp_path):
    """Over both files, column by column."""
    recorded = oracle.arrays("criteo_sparse_to_contiguous")
    arguments = oracle.index()["criteo_sparse_to_contiguous"]["ctor"]
    rows = sparse_to_contiguous(write(tmp_path, recorded), tmp_path, **arguments)
    results = [np.load(tmp_path / f"day_{i}_contig_freq.npy") for i in (0, 1)]
    for i, result in enumerate(results):
        recorded.compare(f"out/file{i}", result, rtol=0, atol=0)
    assert rows == (np.concatenate(results).max(axis=0) + 1).tolist()


def test_errors_leave_nothing_behind(tmp_path):
    """No files, and a file of another shape or type."""
    with pytest.raises(ValueError, match="at least one file"):
        sparse_to_contiguous([], tmp_path)
    np.save(tmp_path / "floats.npy", np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"floats.npy must hold integers of shape \(rows, 2\)"):
        sparse_to_contiguous([tmp_path / "floats.npy"], tmp_path, columns=2)
    assert [path.name for path in tmp_path.iterdir()] == ["floats.npy"]
