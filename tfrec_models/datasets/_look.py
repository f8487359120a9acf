"""What a pass over a log collects about each column, for `describe`."""

import dataclasses

import numpy as np
import pyarrow as pa

from tfrec_models.datasets import _fingerprint
from tfrec_models.datasets._columns import bags_of, numbers_of
from tfrec_models.datasets._ids import fingerprints_of, integers_of
from tfrec_models.datasets._value_counts import Sample, ValueCounts

_CURVE_POINTS = 120
_BARS = 40


class NumbersLook:
    """Numbers of a column as they are in the log.

    Args:
        name: str.
    """

    def __init__(self, name):
        self._name = name
        self._sample = Sample()
        self._rows = self._count = self._zeros = self._infinite = 0
        self._sum = 0.0
        self._least, self._largest = np.inf, -np.inf

    def add(self, block):
        """Looks at a block."""
        numbers = numbers_of(block, self._name, fill=np.nan).astype(np.float64, copy=False)
        self._rows += len(numbers)
        self._infinite += int(np.count_nonzero(np.isinf(numbers)))
        numbers = numbers[np.isfinite(numbers)]
        if len(numbers):
            self._count += len(numbers)
            self._zeros += int(np.count_nonzero(numbers == 0))
            self._sum += float(numbers.sum())
            self._least = min(self._least, float(numbers.min()))
            self._largest = max(self._largest, float(numbers.max()))
            self._sample.add(numbers)

    def result(self):
        """Plain data; what no number tells is None."""
        there = self._count > 0
        return {
            "name": self._name,
            "missing": share(self._rows - self._count - self._infinite, self._rows),
            "infinite": share(self._infinite, self._rows),
            "min": self._least if there else None,
            "mean": self._sum / self._count if there else None,
            "median": float(np.median(self._sample.numbers)) if there else None,
            "max": self._largest if there else None,
            "zeros": share(self._zeros, self._count),
            "histogram": self._histogram() if there else None,
        }

    def _histogram(self):
        # A few large numbers would leave one bar for all others.
        numbers = self._sample.numbers
        low, high = np.quantile(numbers, [0.005, 0.995])
        counts, edges = np.histogram(np.clip(numbers, low, high), _BARS)
        return {"counts": counts.tolist(), "low": float(edges[0]), "high": float(edges[-1])}


class SparseLook:
    """Values of a sparse feature before they become ids.

    Args:
        schema: `Schema`.
        column: `Sparse`, with `is_list` resolved.
    """

    def __init__(self, schema, column):
        self._column = column
        self._owner = schema.sparse_column(column.like or column.name)
        # Nothing is refused and nothing cut: what is there is what is to be seen.
        self._all = (
            None
            if column.cross
            else dataclasses.replace(column, missing="drop", max_length=None, weights=None)
        )
        self.counts = ValueCounts()
        self._rows = self._nulls = self._values = 0
        self._null_values = 0
        self._lengths = np.zeros(1, np.int64)

    def add(self, block):
        """Looks at a block."""
        self._rows += block.batch.num_rows
        if self._column.cross:
            keys = self._pairs(block)
        else:
            array = block.column(self._column.name)
            bags = bags_of(block, self._all)
            self._nulls += array.null_count
            if bags.lengths is not None and self._all.is_list:
                lengths = np.bincount(bags.lengths, minlength=len(self._lengths))
                lengths[: len(self._lengths)] += self._lengths
                self._lengths = lengths
            if pa.types.is_nested(array.type):
                self._null_values += array.flatten().null_count
            keys = self._keys(block, bags.values)
        self._values += len(keys)
        if len(keys):
            self.counts.add(pa.array(keys))

    def _keys(self, block, values):
        if self._owner.ids == "integer":
            return integers_of(block, self._column.name, values)
        return fingerprints_of(block, self._column.name, values).view(np.int64)

    def _pairs(self, block):
        columns = [block.column(name) for name in self._column.cross]
        there = np.ones(block.batch.num_rows, bool)
        for array in columns:
            there &= array.is_valid().to_numpy(zero_copy_only=False)
        self._nulls += int(np.count_nonzero(~there))
        prints = [
            fingerprints_of(block, name, array.filter(pa.array(there)))
            for name, array in zip(self._column.cross, columns, strict=True)
        ]
        return _fingerprint.of_pairs(*prints).view(np.int64)

    def result(self):
        """Plain data."""
        counts = sorted_counts(self.counts.table())
        return {
            "name": self._column.name,
            "missing": share(self._nulls, self._rows),
            "missing_values": share(self._null_values, self._values + self._null_values),
            "values": self._values,
            "distinct": len(counts),
            "once": share(int(np.count_nonzero(counts == 1)), len(counts)),
            "most_frequent": share(int(counts[0]) if len(counts) else 0, self._values),
            "curve": _curve(counts),
            "bags": self._bags() if self._lengths.any() else None,
        }

    def _bags(self):
        counts = self._lengths
        total = counts.sum()
        cumulative = np.cumsum(counts)
        longest = self._column.max_length
        return {
            "mean": float(counts @ np.arange(len(counts)) / total),
            "median": int(np.searchsorted(cumulative, total * 0.5)),
            "p95": int(np.searchsorted(cumulative, total * 0.95)),
            "max": int(np.flatnonzero(counts)[-1]),
            "empty": share(int(counts[0]), int(total)),
            "cut": share(int(counts[longest + 1 :].sum()) if longest else 0, int(total)),
            # The last bar is of all longer bags.
            "histogram": [*counts[:_BARS].tolist(), int(counts[_BARS:].sum())],
        }


def sorted_counts(table):
    """Counts of values (n,) int64, the largest first."""
    if table is None:
        return np.zeros(0, np.int64)
    return np.sort(table["count"].to_numpy())[::-1]


def share(part, whole):
    """A part of a whole, 0 of nothing."""
    return part / whole if whole else 0.0


def _curve(counts):
    """Ranks and counts of some values, evenly on a logarithmic axis of ranks."""
    if not len(counts):
        return []
    ranks = np.unique(np.geomspace(1, len(counts), _CURVE_POINTS).round().astype(np.int64))
    return [[int(rank), int(counts[rank - 1])] for rank in ranks]
