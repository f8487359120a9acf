"""Bags of ids as arrays, feature by feature: what every request is written from."""

import dataclasses

import numpy as np

from tfrec_models.serving.names import PACKED
from tfrec_models.sparse.inputs import SparseFeatures


@dataclasses.dataclass(frozen=True)
class PackedBags:
    """The bags of F features of B examples, as arrays.

    Args:
        ids: int64 array `(N,)`, feature by feature, and of each feature example by example.
        lengths: int64 array `(F, B)`, the number of ids of each bag.
        weights: float32 array `(N,)`, or None.
    """

    ids: np.ndarray
    lengths: np.ndarray
    weights: np.ndarray | None

    @classmethod
    def of(cls, features, names, is_weighted):
        """Returns the bags of features in any form that a collection takes.

        Args:
            features, names, is_weighted: as `SparseFeatures` takes them.

        Raises:
            ValueError, TypeError: as `SparseFeatures`.
        """
        bags = SparseFeatures(features, names, is_weighted).select(names)
        ids = bags.ids.numpy().astype(np.int64, copy=False)
        weights = None
        if bags.weights is not None:
            weights = bags.weights.numpy().astype(np.float32, copy=False)
        if bags.is_single:
            lengths = np.ones(ids.shape[::-1], np.int64)
            return cls(_by_column(ids), lengths, _by_column(weights))
        splits = bags.row_splits.numpy().astype(np.int64, copy=False)
        lengths = np.diff(splits)
        if not bags.by_example:
            return cls(ids, lengths.reshape(len(names), -1), weights)
        lengths = lengths.reshape(-1, len(names)).T
        starts = _by_column(splits[:-1].reshape(-1, len(names)))
        counts = lengths.reshape(-1)
        # Where each id of the new order is in the old one.
        order = np.arange(counts.sum()) + np.repeat(starts - np.cumsum(counts) + counts, counts)
        return cls(ids[order], lengths, None if weights is None else weights[order])

    def inputs(self, names=PACKED):
        """Returns a dict from input to array.

        Args:
            names: dict from "values", "lengths" and "weights" to what the inputs are called.
        """
        parts = {"values": self.ids, "lengths": self.lengths.reshape(-1), "weights": self.weights}
        return {names[part]: array for part, array in parts.items() if array is not None}

    def by_feature(self, names):
        """Yields name, ids, lengths and weights (or None) of each feature.

        Args:
            names: iterable of F str.
        """
        cuts = np.cumsum(self.lengths.sum(axis=1))[:-1]
        weights = [None] * len(self.lengths)
        if self.weights is not None:
            weights = np.split(self.weights, cuts)
        yield from zip(names, np.split(self.ids, cuts), self.lengths, weights, strict=True)


def _by_column(matrix):
    return None if matrix is None else matrix.T.reshape(-1)
