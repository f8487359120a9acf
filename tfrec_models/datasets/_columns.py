"""Columns of a log as flat arrays: numbers, values and bags, checked against what is declared."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec_models.datasets._packed import splits_of

_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)
_TEXTS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
)


class RowError(ValueError):
    """A row that is not as the schema declares.

    Args:
        where: str, the file and the rows.
        what: str, the column and what is wrong with it.
    """

    def __init__(self, where, what):
        super().__init__(f"{where}, {what}")
        self.where, self.what = where, what


@dataclasses.dataclass
class Block:
    """Some consecutive rows of a source.

    Args:
        batch: `pa.RecordBatch` with the columns of the schema.
        name: str, the file or table they are of.
        first_row: int, the number of the first row there, from 0.
        rows: (n,) int, where the rows are not consecutive: their numbers from `first_row`.
        place: function from the number of a row to what a person finds it by, such as "line 7";
            it raises ValueError where the file as a whole is to blame. None for "row 6".
    """

    batch: pa.RecordBatch
    name: str
    first_row: int
    rows: np.ndarray | None = None
    place: Callable[[int], str] | None = None

    def __len__(self):
        return self.batch.num_rows

    def part(self, start, stop):
        """Consecutive rows."""
        if stop - start == self.batch.num_rows:
            return self
        batch = self.batch.slice(start, stop - start)
        return Block(batch, self.name, self.first_row + start, place=self.place)

    def take(self, rows):
        """Rows by their numbers from the first, increasing."""
        return dataclasses.replace(self, batch=self.batch.take(pa.array(rows)), rows=rows)

    def column(self, name):
        """A column as an Arrow array; dictionaries and runs are written out, lists lie in order."""
        return _written_out(self.batch.column(name))

    def error(self, column, message, row=None):
        """A `RowError` that says where."""
        if row is None:
            last = self.batch.num_rows - 1 if self.rows is None else int(self.rows[-1])
            where = f"rows {self.first_row} to {self.first_row + last}"
        else:
            row = self.first_row + (row if self.rows is None else int(self.rows[row]))
            where = f"row {row}" if self.place is None else self.place(row)
        return RowError(f"{self.name}, {where}", f"column {column!r}: {message}")


@dataclasses.dataclass
class Bags:
    """The values of a sparse column: without nulls, `lengths` (n,) of them to a row.

    `lengths` is None where each row has one; `is_null` tells which values were null and are to
    become an id of their own, or is None.
    """

    values: pa.Array
    lengths: np.ndarray | None
    weights: np.ndarray | None
    is_null: np.ndarray | None


def _written_out(array):
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _written_out(array.storage)
    if pa.types.is_dictionary(kind):
        return array.dictionary_decode()
    if pa.types.is_run_end_encoded(kind):
        return pc.run_end_decode(array)
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        lengths = pc.list_value_length(array).fill_null(0).to_numpy()
        splits = pa.array(splits_of(lengths))
        # Arrow's own cast takes lists that do not lie in order for empty ones.
        lists = pa.LargeListArray.from_arrays(splits, array.flatten(), mask=array.is_null())
        return _written_out(lists)
    if is_list(kind) and pa.types.is_dictionary(kind.value_type):
        return array.cast(pa.large_list(kind.value_type.value_type))
    return array


def is_list(array_type):
    """Whether an Arrow type is one of lists."""
    return any(check(array_type) for check in _LISTS)


def is_text(array_type):
    """Whether an Arrow type is one of strings or bytes."""
    return any(check(array_type) for check in _TEXTS)


def numbers_of(block, name, fill=None):
    """A column as (n,) float64 or float32, its gaps filled.

    Raises:
        ValueError: on a column of another type, or a gap where `fill` is None.
    """
    array = block.column(name)
    kind = array.type
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    elif pa.types.is_null(kind):
        array = array.cast(pa.float32())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        hint = "; declare a Sparse column" if is_list(kind) or is_text(kind) else ""
        raise block.error(name, f"must hold a number in each row, received {kind}{hint}.")
    values = array.to_numpy(zero_copy_only=False)
    if values.dtype.kind in "iu":
        return values.astype(np.float64 if values.dtype.itemsize > 2 else np.float32)
    missing = np.isnan(values)
    if not missing.any():
        return values
    if fill is None:
        row = int(np.argmax(missing))
        raise block.error(name, "is null or NaN; declare a fill, or repair the row.", row)
    return np.where(missing, values.dtype.type(fill), values)


def float32_of(numbers):
    """Numbers in float32, infinite where they are too large for it."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32, copy=False)


def bags_of(block, column):
    """The values of a sparse column.

    Args:
        block: `Block`.
        column: `Sparse`, with `is_list` resolved.

    Raises:
        ValueError: on a list where a single value is declared or the reverse, or a null where
            `column.missing` is None.
    """
    array = block.column(column.name)
    if column.separator is not None and not is_list(array.type):
        if pa.types.is_null(array.type):
            array = array.cast(pa.string())
        if not is_text(array.type):
            raise block.error(
                column.name, f"must hold text to split by separator, received {array.type}."
            )
        array = _split(array.cast(pa.large_string()), column.separator)
    if not is_list(array.type):
        if column.is_list and not pa.types.is_null(array.type):
            raise block.error(
                column.name,
                f"must hold lists, received {array.type}; take is_list, max_length and separator "
                "out, or give a separator for text.",
            )
        return _single(block, column, array)
    if column.is_list is False:
        raise block.error(
            column.name,
            f"must hold one value in each row, received {array.type}; declare is_list=True.",
        )
    return _lists(block, column, array)


def _split(array, separator):
    """Parts of each text; an empty text has none."""
    parts = pc.split_pattern(array, separator)
    return pc.if_else(pc.equal(array, ""), pa.scalar([], parts.type), parts)


def _single(block, column, array):
    weights = None
    if column.weights:
        weights = float32_of(numbers_of(block, column.weights))
        if not np.isfinite(weights).all():
            raise _infinite(block, column, int(np.argmin(np.isfinite(weights))))
    if not array.null_count:
        return Bags(array, None, weights, None)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    if column.missing is None:
        raise _null(block, column, int(np.argmin(valid)))
    if column.missing == "drop":
        weights = None if weights is None else weights[valid]
        return Bags(array.drop_null(), valid.astype(np.int64), weights, None)
    return Bags(array, None, weights, ~valid)


def _lists(block, column, array):
    lengths = pc.list_value_length(array)
    if lengths.null_count:
        if column.missing is None:
            row = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
            raise _null(block, column, row)
        lengths = lengths.fill_null(0)
    lengths = lengths.to_numpy().astype(np.int64, copy=False)
    values = array.flatten()
    weights = _weights_of_lists(block, column, lengths) if column.weights else None
    is_null = None
    if values.null_count:
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        if column.missing is None:
            row = int(np.searchsorted(np.cumsum(lengths), np.argmin(valid), side="right"))
            raise _null(block, column, row)
        if column.missing == "drop":
            values, weights, lengths = _kept(values, weights, lengths, valid)
        else:
            is_null = ~valid
    if column.max_length is not None and lengths.max(initial=0) > column.max_length:
        ends = np.cumsum(lengths)
        keep = np.arange(len(values)) >= np.repeat(ends - column.max_length, lengths)
        is_null = None if is_null is None else is_null[keep]
        values, weights, lengths = _kept(values, weights, lengths, keep)
    return Bags(values, lengths, weights, is_null)


def _weights_of_lists(block, column, lengths):
    array = block.column(column.weights)
    if not is_list(array.type):
        raise block.error(
            column.weights, f"must hold lists, as {column.name!r} does, received {array.type}."
        )
    of_weights = pc.list_value_length(array).fill_null(0).to_numpy()
    if not np.array_equal(of_weights, lengths):
        row = int(np.argmax(of_weights != lengths))
        raise block.error(
            column.weights,
            f"must have one weight for each of the {lengths[row]} ids of {column.name!r}, "
            f"received {of_weights[row]}.",
            row,
        )
    flat = Block(pa.record_batch([array.flatten()], [column.weights]), block.name, block.first_row)
    weights = float32_of(numbers_of(flat, column.weights, fill=np.nan))
    if np.isnan(weights).any():
        row = int(np.searchsorted(np.cumsum(lengths), np.argmax(np.isnan(weights)), side="right"))
        raise block.error(column.weights, "is null or NaN; repair the row.", row)
    if not np.isfinite(weights).all():
        number = np.argmin(np.isfinite(weights))
        row = int(np.searchsorted(np.cumsum(lengths), number, side="right"))
        raise _infinite(block, column, row)
    return weights


def _infinite(block, column, row):
    what = "holds a number that is infinite in float32; repair the row."
    return block.error(column.weights, what, row)


def _kept(values, weights, lengths, keep):
    """Bags with only some of their values."""
    before = splits_of(keep)
    lengths = np.diff(before[splits_of(lengths)])
    return values.filter(pa.array(keep)), None if weights is None else weights[keep], lengths


def _null(block, column, row):
    return block.error(
        column.name,
        "is null or has one; declare missing='drop' or missing=<id>, or repair the row.",
        row,
    )
