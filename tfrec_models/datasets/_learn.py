"""What a schema learns from a log in one pass: vocabularies, statistics, sizes of tables."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec_models.datasets._columns import bags_of, numbers_of
from tfrec_models.datasets._encode import resolved
from tfrec_models.datasets._ids import as_text, integers_of
from tfrec_models.datasets._progress import Progress
from tfrec_models.datasets._sources import open_source
from tfrec_models.datasets._threads import ahead
from tfrec_models.datasets._value_counts import Sample, ValueCounts

# Its square, and the sum of as many as there are rows, are finite.
_LARGEST = 1e100


def learn(schema, source, progress, options):
    """The new `learned` of a schema; its old one is left as it is."""
    learners = {}
    for column in schema.dense:
        if column.transform == "standardize":
            learners[column.name] = _Moments()
        elif column.transform == "quantile" and column.name not in schema.learned["statistics"]:
            learners[column.name] = _Quantiles(column.num_buckets)
    for column in schema.sparse:
        if column.ids == "vocabulary":
            learners[column.name] = _Counts()
        elif column.ids == "integer" and column.num_ids is None:
            learners[column.name] = _Largest()
    dense = [column for column in schema.dense if column.name in learners]
    columns = [column.name for column in dense]
    columns += [
        name
        for column in schema.sparse
        if (column.like or column.name) in learners
        for name in (column.name, column.weights)
        if name
    ]
    opened = open_source(source, schema, list(dict.fromkeys(columns)), **options)
    sparse = [c for c in resolved(schema, opened.types) if (c.like or c.name) in learners]
    units = opened.units()
    known = None if any(u.num_rows is None for u in units) else sum(u.num_rows for u in units)
    shown = Progress("fit", known, progress)
    if learners:
        blocks = ahead(block for unit in units for block in opened.blocks(unit))
        for block in blocks:
            for column in dense:
                numbers = numbers_of(block, column.name, column.fill)
                _check_magnitude(block, column.name, numbers)
                learners[column.name].add(numbers)
            for column in sparse:
                values = bags_of(block, column).values.drop_null()
                learners[column.like or column.name].add_values(block, column.name, values)
            shown.add(block.batch.num_rows)
    shown.end()
    return _merged(schema, learners)


def _check_magnitude(block, name, numbers):
    """Raises `RowError` on a number that would make a mean or deviation infinite or NaN."""
    too_large = ~(np.abs(numbers) <= _LARGEST)
    if too_large.any():
        row = int(np.argmax(too_large))
        raise block.error(
            name,
            f"holds {numbers[row]}, too large to learn statistics from; give transform='clip', or "
            "repair the row.",
            row,
        )


def _merged(schema, learners):
    learned = {what: dict(of_name) for what, of_name in schema.learned.items()}
    for column in (c for c in schema.dense if c.name in learners):
        before = learned["statistics"].get(column.name)
        learned["statistics"][column.name] = learners[column.name].result(before)
    for column in (c for c in schema.sparse if c.name in learners):
        what = "vocabularies" if column.ids == "vocabulary" else "num_ids"
        before = learned[what].get(column.name)
        learned[what][column.name] = learners[column.name].result(before, column)
    return learned


class _Moments:
    """Count, mean and sum of squared differences from it (Chan's formula)."""

    def __init__(self):
        self._state = (0, 0.0, 0.0)

    def add(self, x):
        if len(x):
            x = x.astype(np.float64, copy=False)
            mean = float(x.mean())
            part = (len(x), mean, float(np.square(x - mean).sum()))
            self._state = _joined_moments(self._state, part)

    def result(self, before):
        names = ("count", "mean", "sum_of_squares")
        if before is None and not self._state[0]:
            raise ValueError("There are no rows to learn a mean from; fit a log with rows.")
        if before is not None:
            self._state = _joined_moments([before[name] for name in names], self._state)
        return dict(zip(names, self._state, strict=True))


def _joined_moments(first, second):
    count = first[0] + second[0]
    if not count:
        return first
    difference = second[1] - first[1]
    mean = first[1] + difference * second[0] / count
    squares = first[2] + second[2] + difference**2 * first[0] * second[0] / count
    return count, mean, squares


class _Quantiles:
    """The inner quantiles of a random sample of the numbers."""

    def __init__(self, num_buckets):
        self._num_buckets = num_buckets
        self._sample = Sample()

    def add(self, x):
        self._sample.add(x)

    def result(self, before):
        if not len(self._sample.numbers):
            raise ValueError("There are no rows to learn quantiles from; fit a log with rows.")
        inner = np.arange(1, self._num_buckets) / self._num_buckets
        return {"quantiles": np.quantile(self._sample.numbers, inner).tolist()}


class _Counts:
    """How often each value was seen."""

    def __init__(self):
        self._counts = ValueCounts()

    def add_values(self, block, name, values):
        if pa.types.is_null(values.type):
            return
        try:
            text = as_text(block, name, values).cast(pa.large_string())
        except pa.ArrowInvalid as error:
            raise block.error(name, f"must hold text in UTF-8: {error}.") from None
        self._counts.add(text)

    def result(self, before, column):
        vocabulary = list(before or [])
        table = self._counts.table()
        if table is None:
            return vocabulary
        table = table.filter(pc.field("count") >= column.min_count)
        if vocabulary:
            known = pa.array(vocabulary, pa.large_string())
            table = table.filter(pc.invert(pc.is_in(table["value"], known)))
        table = table.sort_by([("count", "descending"), ("value", "ascending")])
        vocabulary += table["value"].to_pylist()
        if column.num_ids is not None:
            # One id is for the values outside the vocabulary.
            vocabulary = vocabulary[: max(column.num_ids - 1, len(before or []))]
        return vocabulary


class _Largest:
    """One more than the largest integer."""

    def __init__(self):
        self._num_ids = 1

    def add_values(self, block, name, values):
        ids = integers_of(block, name, values)
        if len(ids):
            if ids.min() < 0:
                raise block.error(
                    name, f"must hold ids of 0 and above, received {ids.min()}; give ids='hash'."
                )
            self._num_ids = max(self._num_ids, int(ids.max()) + 1)

    def result(self, before, column):
        return max(self._num_ids, before or 1)
