"""Rows of a log as a few flat arrays, cut, joined and reordered without Python in the loop."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Packed:
    """Rows of a log, ready to become the inputs of a model.

    Args:
        dense: (n, D) float32.
        ids: (n, F) int64 where every bag has one id; else flat, row by row and feature by feature.
        labels: (n,) float32, or None.
        splits: (n x F + 1) int64, where each bag begins in `ids`, or None where all are single.
        weights: float32 of the shape of `ids`, or None.
        num_features: int, F.
    """

    dense: np.ndarray
    ids: np.ndarray
    labels: np.ndarray | None
    splits: np.ndarray | None
    weights: np.ndarray | None
    num_features: int

    def __len__(self):
        return len(self.dense)

    def rows(self, start, stop):
        """Consecutive rows."""
        if self.splits is None:
            ids_of = slice(start, stop)
            splits = None
        else:
            splits = self.splits[start * self.num_features : stop * self.num_features + 1]
            ids_of = slice(splits[0], splits[-1])
            splits = splits - splits[0]
        return self._with(slice(start, stop), ids_of, splits)

    def take(self, rows):
        """Rows by their numbers, in any order."""
        if self.splits is None:
            return self._with(rows, rows, None)
        features = self.num_features
        if not features:
            return self._with(rows, slice(0, 0), np.zeros(1, np.int64))
        lengths = np.diff(self.splits).reshape(-1, features)[rows].reshape(-1)
        splits = splits_of(lengths)
        # The ids of a row lie together, so they move together.
        first = self.splits[:-1:features][rows]
        new_first = splits[:-1:features]
        counts = np.diff(splits[::features])
        ids_of = np.repeat(first - new_first, counts) + np.arange(splits[-1])
        return self._with(rows, ids_of, splits)

    def _with(self, rows, ids_of, splits):
        return Packed(
            self.dense[rows],
            self.ids[ids_of],
            None if self.labels is None else self.labels[rows],
            splits,
            None if self.weights is None else self.weights[ids_of],
            self.num_features,
        )

    def arrays(self):
        """The arrays that are there, by name."""
        names = ("dense", "ids", "splits", "weights", "labels")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def joined(parts):
    """Several `Packed` as one."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    splits = None
    if first.splits is not None:
        begins = np.cumsum([0] + [part.splits[-1] for part in parts[:-1]])
        splits = np.concatenate(
            [[0]] + [part.splits[1:] + begin for part, begin in zip(parts, begins, strict=True)]
        )
    return Packed(
        np.concatenate([part.dense for part in parts]),
        np.concatenate([part.ids for part in parts]),
        None if first.labels is None else np.concatenate([part.labels for part in parts]),
        splits,
        None if first.weights is None else np.concatenate([part.weights for part in parts]),
        first.num_features,
    )


def splits_of(lengths):
    """Where each of consecutive runs begins, and the last ends: (n + 1,) int64."""
    splits = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=splits[1:])
    return splits
