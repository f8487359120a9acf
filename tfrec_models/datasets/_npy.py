"""TorchRec's `.npy` files of Criteo's logs as blocks of rows."""

import dataclasses

import numpy as np

from tfrec_models.datasets._packed import Packed
from tfrec_models.datasets._parquet import Unit

_BLOCK_ROWS = 32768


@dataclasses.dataclass(frozen=True)
class NpyBlock:
    """Some rows of a day, as the files have them.

    Args:
        dense: (n, D) float.
        ids: (n, F) int.
        labels: (n,) int.
    """

    dense: np.ndarray
    ids: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.dense)

    def part(self, start, stop):
        """Consecutive rows."""
        return NpyBlock(self.dense[start:stop], self.ids[start:stop], self.labels[start:stop])


class NpySource:
    """Days, each of three files, mapped into memory.

    Args:
        days: list of (dense, ids, labels), as `load_day` returns.
    """

    def __init__(self, days):
        self._days = [NpyBlock(*day) for day in days]
        self._pieces = [
            (day, start, min(start + _BLOCK_ROWS, len(day)))
            for day in self._days
            for start in range(0, len(day), _BLOCK_ROWS)
        ]

    def units(self):
        """Pieces of the days, day by day."""
        return [Unit(i, stop - start) for i, (_, start, stop) in enumerate(self._pieces)]

    def blocks(self, unit):
        """Yields the block of a piece."""
        day, start, stop = self._pieces[unit.number]
        yield day.part(start, stop)


class NpyEncoder:
    """Turns blocks into `Packed` rows.

    Args:
        num_ids: (F,) int64, by which ids are taken modulo, or None.
    """

    def __init__(self, num_ids):
        self._num_ids = num_ids

    def __call__(self, block):
        ids = np.asarray(block.ids, np.int64)
        if self._num_ids is not None:
            ids = ids % self._num_ids
        # Filler of `tsv_to_npys` for files without labels.
        labels = np.where(block.labels == -1, np.nan, block.labels).astype(np.float32)
        dense = np.asarray(block.dense, np.float32)
        return Packed(dense, ids, labels, None, None, ids.shape[1])


def load_day(dense_file, sparse_file, labels_file):
    """The three arrays of a day, checked against each other.

    Raises:
        ValueError: on a file that is cut off, damaged or of another shape or type; names it.
    """
    dense = _load(dense_file, "f", 2, "float of shape (rows, features)")
    ids = _load(sparse_file, "iu", 2, "integers of shape (rows, features)")
    labels = _load(labels_file, "iu", 1, "integers of shape (rows, 1)")
    for path, array in ((sparse_file, ids), (labels_file, labels)):
        if len(array) != len(dense):
            raise ValueError(
                f"{path} must have a row for each of the {len(dense)} rows of {dense_file}, "
                f"received {len(array)}; take the files of one day."
            )
    return dense, ids, labels


def _load(path, kinds, rank, expected):
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path} is cut off, damaged or no .npy file: {error}. Write or fetch it again."
        ) from error
    if rank == 1 and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds or array.ndim != rank:
        raise ValueError(
            f"{path} must hold {expected}, received {getattr(array, 'dtype', type(array))} of "
            f"shape {getattr(array, 'shape', None)}."
        )
    return array
