"""Sparse ids made dense: the frequent ones numbered from 2 up, the rare ones joined."""

import collections
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from tfrec_models._files import atomic_path

RARE_ID = 1
"""What every id becomes that is seen too seldom; 0 is given to none."""


def sparse_to_contiguous(
    in_files: Sequence[str | os.PathLike[str]],
    output_dir: str | os.PathLike[str],
    frequency_threshold: int = 3,
    columns: int = 26,
) -> list[int]:
    """Renumbers the ids of each column over all files, and writes new files.

    For columns of 32-bit hashes whose tables should have as many rows as there are ids worth one.
    In each column by itself, over all files in order: ids seen fewer than `frequency_threshold`
    times become 1, the others 2, 3, .. in the order of their first appearance. As TorchRec's
    `BinaryCriteoUtils.sparse_to_contiguous`.

    Args:
        in_files: list of paths of `.npy` files, int arrays of shape (rows, columns).
        output_dir: folder to write to; `day_0.npy` becomes `day_0_contig_freq.npy`. Each file
            appears whole or not at all. Results keep their file's integer type, or take the next
            larger one where it is too small for the numbers.
        frequency_threshold: int, how often an id must be seen to keep a number of its own.
        columns: int, the number of columns of each file.

    Returns:
        List of int, for each column the rows its table needs (the largest number plus 1).

    Raises:
        ValueError: on no files, two files of one name, a file of another shape or type, or
            int64 beside uint64.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> from tfrec_models.datasets import sparse_to_contiguous
    >>> folder = tempfile.mkdtemp()
    >>> np.save(os.path.join(folder, "day_0.npy"), np.array([[70], [9], [70], [5], [5]]))
    >>> sparse_to_contiguous([os.path.join(folder, "day_0.npy")], folder, 2, columns=1)
    [4]
    >>> np.load(os.path.join(folder, "day_0_contig_freq.npy")).ravel().tolist()
    [2, 1, 2, 3, 3]
    """
    paths = [pathlib.Path(path) for path in in_files]
    if not paths:
        raise ValueError("sparse_to_contiguous needs at least one file, received none.")
    out_files = [pathlib.Path(output_dir) / f"{path.stem}_contig_freq.npy" for path in paths]
    _check_distinct(paths, out_files)
    files = [_load(path, columns) for path in paths]
    # NumPy would join int64 and uint64 to floats, which hold no integers above 2**53.
    if np.result_type(*(ids.dtype for ids in files)).kind == "f":
        raise ValueError(
            "in_files must have integer types that fit into one, received "
            f"{[ids.dtype.name for ids in files]}; cast the files to one type."
        )
    ends = np.cumsum([len(ids) for ids in files])
    renumbered, num_rows = [], []
    for column in range(columns):
        numbers = _contiguous(
            np.concatenate([ids[:, column] for ids in files]), frequency_threshold
        )
        num_rows.append(int(numbers.max(initial=RARE_ID)) + 1)
        renumbered.append(np.split(numbers, ends[:-1]))
    for number, (path, ids) in enumerate(zip(out_files, files, strict=True)):
        result = np.stack([parts[number] for parts in renumbered], axis=1)
        with atomic_path(path) as temporary:
            np.save(temporary, result.astype(_wide_enough(ids.dtype, max(num_rows) - 1)))
    return num_rows


def _check_distinct(in_files, out_files):
    times = collections.Counter(out_files)
    shared = [str(path) for path, out in zip(in_files, out_files, strict=True) if times[out] > 1]
    if shared:
        raise ValueError(
            f"in_files must have distinct names, since results are named after them; received "
            f"{shared}. Rename the files, or link them under distinct names."
        )


def _wide_enough(dtype, largest):
    if largest <= np.iinfo(dtype).max:
        return dtype
    return np.promote_types(dtype, np.min_scalar_type(-1 - largest))


def _contiguous(ids, frequency_threshold):
    _, first, inverse, counts = np.unique(
        ids, return_index=True, return_inverse=True, return_counts=True
    )
    frequent = np.flatnonzero(counts >= frequency_threshold)
    numbers = np.full(len(counts), RARE_ID, np.int64)
    by_appearance = frequent[np.argsort(first[frequent])]
    numbers[by_appearance] = RARE_ID + 1 + np.arange(len(frequent))
    return numbers[inverse]


def _load(path, columns):
    ids = np.load(path, mmap_mode="r", allow_pickle=False)
    if ids.ndim != 2 or ids.shape[1] != columns or ids.dtype.kind not in "iu":
        raise ValueError(
            f"{path} must hold integers of shape (rows, {columns}), received {ids.dtype} of shape "
            f"{ids.shape}."
        )
    return ids
