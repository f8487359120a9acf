"""How often values occur, and samples of numbers, over a log of any length."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Values and counts are summed up each time so many have gathered.
_COMPACT_AT = 1 << 20
# A sample has at most twice as many numbers.
_SAMPLE = 1 << 17


class ValueCounts:
    """Counts the values of Arrow arrays of one type; their memory is that of the distinct ones."""

    def __init__(self):
        self._parts, self._num_values = [], 0

    def add(self, array):
        """Counts the values of an array without nulls."""
        counts = pc.value_counts(array)
        self._append(pa.table({"value": counts.field(0), "count": counts.field(1)}))

    def merge(self, other):
        """Adds the counts of another one of values of the same type."""
        table = other.table()
        if table is not None:
            self._append(table)

    def _append(self, table):
        self._parts.append(table)
        self._num_values += len(table)
        if self._num_values > _COMPACT_AT:
            self._parts = [self._summed()]
            # Not sooner again than after as many new values as there are.
            self._num_values = -len(self._parts[0])

    def table(self):
        """`pa.Table` of each value and its count, or None where there was no array."""
        return self._summed() if self._parts else None

    def _summed(self):
        table = pa.concat_tables(self._parts)
        table = table.group_by("value", use_threads=False).aggregate([("count", "sum")])
        return table.rename_columns({"count_sum": "count"})


class Sample:
    """A random sample of numbers, the same for the same numbers."""

    def __init__(self):
        self._rng = np.random.default_rng(0)
        self.numbers, self._keys = np.empty(0), np.empty(0)

    def add(self, x):
        """Draws from more numbers."""
        # The numbers with the smallest random keys are a sample without replacement.
        self.numbers = np.concatenate([self.numbers, x])
        self._keys = np.concatenate([self._keys, self._rng.random(len(x))])
        if len(self._keys) > 2 * _SAMPLE:
            kept = np.sort(np.argpartition(self._keys, _SAMPLE)[:_SAMPLE])
            self.numbers, self._keys = self.numbers[kept], self._keys[kept]
