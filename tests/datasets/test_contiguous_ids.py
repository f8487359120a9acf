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


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32])
def test_numbers_do_not_wrap(tmp_path, dtype):
    """Every value of a small type appears once, so the largest number is one more than it holds."""
    bounds = np.iinfo(dtype)
    values = np.arange(max(bounds.min, -128), min(bounds.max, 1 << 16) + 1)
    np.save(tmp_path / "all.npy", values.astype(dtype)[:, None])
    [rows] = sparse_to_contiguous([tmp_path / "all.npy"], tmp_path, 0, columns=1)
    result = np.load(tmp_path / "all_contig_freq.npy")
    assert rows == len(values) + 2
    assert result.ravel().tolist() == list(range(2, rows))
    assert result.dtype == dtype or rows - 1 > np.iinfo(dtype).max


def test_files_of_one_name_are_refused(tmp_path):
    """Before anything is written: the second result would take the place of the first."""
    paths = []
    for folder, value in (("train", 1), ("test", 3)):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "day_0.npy")
        np.save(paths[-1], np.array([[value]]))
    with pytest.raises(ValueError, match=r"distinct names.*train/day_0.npy.*test/day_0.npy"):
        sparse_to_contiguous(paths, tmp_path, 0, columns=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test", "train"]


def test_types_without_a_common_integer_are_refused(tmp_path):
    """int64 and uint64 would meet in float64, where 2**53 and 2**53 + 1 are one id."""
    np.save(tmp_path / "a.npy", np.array([[2**53]], np.int64))
    np.save(tmp_path / "b.npy", np.array([[2**53 + 1]], np.uint64))
    with pytest.raises(ValueError, match=r"types that fit into one.*'int64', 'uint64'"):
        sparse_to_contiguous([tmp_path / "a.npy", tmp_path / "b.npy"], tmp_path, 0, columns=1)


def test_results_can_be_read_by_all_who_may_read_files_here(tmp_path):
    """The result has the mode of any new file, not that of a temporary one."""
    np.save(tmp_path / "a.npy", np.array([[1]]))
    sparse_to_contiguous([tmp_path / "a.npy"], tmp_path, 0, columns=1)
    assert (tmp_path / "a_contig_freq.npy").stat().st_mode == (tmp_path / "a.npy").stat().st_mode
