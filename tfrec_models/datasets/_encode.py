"""Blocks of a log as packed rows, by what a schema declares and has learned."""

import dataclasses

import numpy as np
import pyarrow as pa

from tfrec_models.datasets import _fingerprint
from tfrec_models.datasets._columns import bags_of, float32_of, is_list, numbers_of
from tfrec_models.datasets._ids import BadValue, fingerprints_of, to_ids
from tfrec_models.datasets._packed import Packed, splits_of


class Encoder:
    """Turns blocks of a source into `Packed` rows.

    Args:
        schema: `Schema`, with what it has to learn.
        types: dict from column to its Arrow type, where the source knows; tells which columns
            that are not declared as lists or single are lists.
        labels: bool, whether to read labels.
    """

    def __init__(self, schema, types, labels=True):
        self._label = schema.label if labels else None
        self._dense = [(column, _transform(schema, column)) for column in schema.dense]
        columns = {column.name: column for column in resolved(schema, types)}
        self._sparse = [columns[name] for name in schema.sparse_feature_names]
        self._to_ids = {
            column.name: to_ids(schema, schema.sparse_column(column.like or column.name))
            for column in self._sparse
            if not column.cross
        }
        self._num_ids = {column.name: schema.num_ids(column.name) for column in self._sparse}
        self._is_weighted = schema.is_weighted
        self.has_lists = [
            bool(column.is_list) or column.missing == "drop" for column in self._sparse
        ]
        self.is_ragged = self._is_weighted or any(self.has_lists)

    def __call__(self, block):
        num_rows = block.batch.num_rows
        dense = np.empty((num_rows, len(self._dense)), np.float32)
        for i, numbers in enumerate(self.dense_columns(block)):
            dense[:, i] = numbers
        labels = self.labels(block)
        features = self.sparse_columns(block)
        if self.is_ragged:
            ids, splits, weights = _interleaved(features, num_rows, self._is_weighted)
        else:
            ids, splits, weights = np.empty((num_rows, len(features)), np.int64), None, None
            for i, (values, _, _) in enumerate(features):
                ids[:, i] = values
        return Packed(dense, ids, labels, splits, weights, len(features))

    def labels(self, block):
        """Labels (n,) float32, or None."""
        if self._label is None:
            return None
        return _finite(block, self._label, numbers_of(block, self._label))

    def dense_columns(self, block):
        """Yields the (n,) numbers of each dense feature."""
        for column, transform in self._dense:
            numbers = numbers_of(block, column.name, column.fill)
            yield _finite(block, column.name, transform(block, column, numbers), numbers)

    def sparse_columns(self, block):
        """(flat ids, lengths or None, weights or None) of each feature, in the packed order."""
        return [self._ids(block, column) for column in self._sparse]

    def _ids(self, block, column):
        """Flat ids, lengths or None, weights or None."""
        if column.cross:
            return self._cross(block, column), None, None
        bags = bags_of(block, column)
        values = bags.values
        if bags.is_null is not None:
            values = values.drop_null()
        try:
            ids = self._to_ids[column.name](block, column, values)
        except BadValue as error:
            raise block.error(column.name, str(error), _row_of(bags, error.number)) from None
        if bags.is_null is not None:
            self._check_missing(block, column)
            every = np.full(len(bags.values), column.missing, np.int64)
            every[~bags.is_null] = ids
            ids = every
        return ids, bags.lengths, bags.weights

    def _check_missing(self, block, column):
        if column.missing >= self._num_ids[column.name]:
            raise block.error(
                column.name,
                f"missing must be below the {self._num_ids[column.name]} ids of its table, "
                f"received {column.missing}.",
            )

    def _cross(self, block, column):
        parts = [block.column(name) for name in column.cross]
        num_ids = np.uint64(self._num_ids[column.name])
        missing = None
        for name, array in zip(column.cross, parts, strict=True):
            if is_list(array.type):
                raise block.error(name, f"must hold one value in each row, received {array.type}.")
            if array.null_count:
                null = array.is_null().to_numpy(zero_copy_only=False)
                missing = null if missing is None else missing | null
        if missing is None:
            prints = [
                fingerprints_of(block, n, p) for n, p in zip(column.cross, parts, strict=True)
            ]
            return (_fingerprint.of_pairs(*prints) % num_ids).astype(np.int64)
        if not isinstance(column.missing, int):
            row = int(np.argmax(missing))
            raise block.error(
                column.name, "crosses a null; declare missing=<id>, or repair the row.", row
            )
        self._check_missing(block, column)
        kept = [part.filter(pa.array(~missing)) for part in parts]
        prints = [fingerprints_of(block, n, p) for n, p in zip(column.cross, kept, strict=True)]
        ids = np.full(len(missing), column.missing, np.int64)
        ids[~missing] = _fingerprint.of_pairs(*prints) % num_ids
        return ids


def _finite(block, name, result, numbers=None):
    """Numbers as (n,) float32; one infinite number would make a model's weights NaN."""
    result = float32_of(result)
    is_finite = np.isfinite(result)
    if not is_finite.all():
        row = int(np.argmin(is_finite))
        raise block.error(
            name,
            f"holds {(result if numbers is None else numbers)[row]}, which gives {result[row]} in "
            "float32; give a Dense transform='clip' with low and high, or repair the row.",
            row,
        )
    return result


def _row_of(bags, number):
    """The row of the `number`-th value that is not null."""
    if bags.is_null is not None:
        number = np.flatnonzero(~bags.is_null)[number]
    if bags.lengths is None:
        return int(number)
    return int(np.searchsorted(np.cumsum(bags.lengths), number, side="right"))


def resolved(schema, types):
    """The sparse columns, with `is_list` as declared or else as the source's types tell."""
    return [
        dataclasses.replace(column, is_list=column.name in types and is_list(types[column.name]))
        if column.is_list is None
        else column
        for column in schema.sparse
    ]


def _interleaved(features, num_rows, is_weighted):
    """Columns of bags as one array, row by row."""
    lengths = np.ones((num_rows, len(features)), np.int64)
    for i, (_, of_feature, _) in enumerate(features):
        if of_feature is not None:
            lengths[:, i] = of_feature
    splits = splits_of(lengths.reshape(-1))
    begins = splits[:-1].reshape(num_rows, len(features))
    ids = np.empty(splits[-1], np.int64)
    weights = np.ones(splits[-1], np.float32) if is_weighted else None
    for i, (values, of_feature, of_ids) in enumerate(features):
        places = begins[:, i]
        if of_feature is not None:
            first = splits_of(of_feature)[:-1]
            places = np.repeat(places - first, of_feature)
            places += np.arange(len(values))
        ids[places] = values
        if of_ids is not None:
            weights[places] = of_ids
    return ids, splits, weights


def _transform(schema, column):
    """A function from (block, column, numbers) to (n,) numbers."""
    statistics = schema.learned["statistics"].get(column.name)
    if column.is_learned and statistics is None:
        raise ValueError(
            f"The {column.transform!r} of dense column {column.name!r} is learned from the data, "
            "and is not yet; call schema.fit(source) first."
        )
    if column.transform == "log1p":
        return lambda block, of, x: np.log1p(np.maximum(x, 0))
    if column.transform == "log":
        return _log
    if column.transform == "clip":
        return lambda block, of, x: np.clip(x, of.low, of.high)
    if column.transform == "standardize":
        mean = statistics["mean"]
        variance = statistics["sum_of_squares"] / max(statistics["count"], 1)
        scale = variance**-0.5 if variance > 0 else 0.0
        return lambda block, of, x: (x.astype(np.float64) - mean) * scale
    if column.transform == "quantile":
        inner = np.array(statistics["quantiles"])
        return lambda block, of, x: np.searchsorted(inner, x, side="right") / of.num_buckets
    return lambda block, of, x: x


def _log(block, column, x):
    shifted = x + x.dtype.type(column.offset)
    if len(x) and shifted.min() <= 0:
        row = int(np.argmin(shifted))
        raise block.error(
            column.name,
            f"holds {x[row]}, whose log(x + {column.offset}) is not defined; give a larger offset, "
            "or transform='log1p'.",
            row,
        )
    return np.log(shifted)
