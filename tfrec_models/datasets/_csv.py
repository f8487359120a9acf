"""Files of separated values as blocks of rows."""

import contextlib
import dataclasses
import functools
import re

import pyarrow as pa
import pyarrow.csv

from tfrec_models.datasets import _listing
from tfrec_models.datasets._columns import Block, RowError
from tfrec_models.datasets._names import check_columns
from tfrec_models.datasets._opened import check_not_empty, opened
from tfrec_models.datasets._parquet import Unit
from tfrec_models.datasets._text_errors import (
    UNREADABLE,
    LineError,
    check_bytes,
    check_whole,
    line_error,
    line_of_row,
    unreadable,
)
from tfrec_models.datasets._text_lines import (
    BYTE_ORDER_MARK,
    is_empty,
    is_row_a_line,
    number_of_lines,
    rows_of,
)

_QUOTED = re.compile(r'"[^"]*"')
# As much of a line as may name columns, and where a tar archive says that it is one.
_LONGEST_HEADER = 1 << 26
_TAR = slice(257, 262)


@dataclasses.dataclass(frozen=True)
class TextLayout:
    """How the lines of a file are read.

    Args:
        delimiter: str.
        names: list of str, the columns of the file.
        has_header: bool, whether the first line names them.
        convert: `pyarrow.csv.ConvertOptions`.
    """

    delimiter: str
    names: list[str]
    has_header: bool
    convert: pyarrow.csv.ConvertOptions


class CsvSource:
    """CSV and TSV files, plain or compressed by gzip, bzip2 or Zstandard, one after the other.

    Args:
        files: list of `DataFile`.
        schema: `Schema`; text columns are read as what it declares.
        columns: list of str, those to read.
        delimiter: str or None; None for a tab where the first line has one, else a comma.
        types: dict from column to `pa.DataType`, what fields are read as; None for `text_types`.

    Raises:
        ValueError: on a file that lacks a column, has a header where none is declared or the
            reverse, or a compression that is not read.
    """

    def __init__(self, files, schema, columns, delimiter=None, types=None):
        self._files = files
        self._columns = columns
        self._delimiter = delimiter
        self._names = schema.column_names
        self._partition_types = _listing.partition_types(files)
        self._types = types or text_types(schema)
        self._split = [column.name for column in schema.sparse if column.separator is not None]
        self.types = {}

    def units(self):
        """The files."""
        return [Unit(i, None) for i in range(len(self._files))]

    @property
    def files(self):
        """The files, by the number of their unit."""
        return self._files

    def blocks(self, unit):
        """Yields the blocks of a file."""
        file = self._files[unit.number]
        layout = self.layout(file)
        if layout is None:
            return
        first_row = 0
        try:
            with contextlib.closing(rows_of(file, 0, None, layout.has_header)) as parts:
                for first, lines in parts:
                    if is_empty(lines):
                        continue
                    batch = self._batch_of_file(file, layout, first, lines)
                    place = functools.partial(_place, file, first, lines, first_row)
                    yield Block(batch, file.path, first_row, place=place)
                    first_row += batch.num_rows
        except UNREADABLE as error:
            raise unreadable(file, error) from error
        file.check_unchanged()

    def _batch_of_file(self, file, layout, first, lines):
        """The record batch of some lines, of which `first` are before them in the file."""
        try:
            batch = self.batch_of_lines(file, layout, lines)
        except LineError as error:
            check_whole(file)
            last = first + number_of_lines(lines)
            where = f"one of the lines {first + 1} to {last}"
            if error.line is not None:
                where = f"line {first + error.line + 1}"
            what = f"{error.what}. Repair or remove the line."
            raise RowError(f"{file.path}, {where}", what) from error
        if not is_row_a_line(batch.num_rows, lines):
            check_whole(file)
            raise ValueError(
                f"{file.path}: one of the lines {first + 1} to {first + number_of_lines(lines)} "
                "has a quote that is not closed in it. Repair it; what is in quotes cannot "
                "continue in the next line."
            )
        return batch

    def layout(self, file):
        """How the lines of a file are to be read, after a look at the first one.

        None where there is no byte in it, not even of a header.
        """
        check_not_empty(file)
        first = self._first_line(file)
        if first is None:
            return None
        delimiter = self._delimiter or ("\t" if "\t" in _QUOTED.sub("", first) else ",")
        fields = _fields_of(file, first, delimiter)
        self._check_header(file, fields, delimiter)
        partition = {name for name, _ in file.partition}
        convert = pyarrow.csv.ConvertOptions(
            column_types=self._types,
            include_columns=[name for name in self._columns if name not in partition],
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["1", "true", "True"],
            false_values=["0", "false", "False"],
        )
        return TextLayout(delimiter, self._names or fields, self._names is None, convert)

    def batch_of_lines(self, file, layout, lines):
        """The record batch of some whole lines of a file.

        Args:
            file: `DataFile`.
            layout: `TextLayout` of the file.
            lines: bytes.

        Raises:
            LineError: on another number of fields, a field that is not of its column's type, a
                NUL byte and a carriage return without a line feed.
        """
        check_bytes(lines)
        if lines.startswith(BYTE_ORDER_MARK):
            # Arrow leaves one out at the beginning; within a file it is part of a field.
            lines = b"\n" + lines
        read = pyarrow.csv.ReadOptions(
            column_names=layout.names, block_size=max(len(lines), 1), use_threads=False
        )
        parse = pyarrow.csv.ParseOptions(delimiter=layout.delimiter)
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(lines),
                read_options=read,
                parse_options=parse,
                convert_options=layout.convert,
            ).combine_chunks()
        except pa.ArrowInvalid as error:
            raise line_error(error, lines, layout.names) from error
        [batch] = table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
        return self._completed(batch, file)

    def _completed(self, batch, file):
        batch = self._with_empty_lists(batch)
        return _listing.with_partition(batch, file, self._partition_types, self._columns)

    def _with_empty_lists(self, batch):
        """Empty fields of lists are lists without values, not nulls."""
        for name in self._split:
            if name in batch.schema.names:
                filled = batch.column(name).fill_null("")
                batch = batch.set_column(batch.schema.names.index(name), name, filled)
        return batch

    def _first_line(self, file):
        start = b""
        try:
            with opened(file) as stream:
                while b"\n" not in start and len(start) < _LONGEST_HEADER:
                    if not (more := stream.read(1 << 16)):
                        break
                    start += more
        except UNREADABLE as error:
            raise unreadable(file, error) from error
        if not start:
            return None
        line = start.split(b"\n", 1)[0]
        if start[_TAR.start : _TAR.stop] == b"ustar":
            raise ValueError(f"{file.path} must be text, received a tar archive; unpack it.")
        try:
            check_bytes(line)
        except LineError as error:
            check_whole(file)
            raise ValueError(f"{file.path}, line 1 {error.what}. Write the file again.") from error
        return line.rstrip(b"\r").decode("utf-8", "replace").lstrip("\ufeff")

    def _check_header(self, file, fields, delimiter):
        if self._names is None:
            of_folders = [name for name, _ in file.partition if name not in fields]
            there = [*fields, *of_folders]
            try:
                check_columns(file.path, self._columns, there)
            except ValueError as error:
                raise ValueError(
                    f"{error} The first line must name the columns, separated by {delimiter!r}; "
                    "for files without a header, give column_names to the schema."
                ) from None
        elif set(self._columns) <= set(fields) or fields == self._names:
            raise ValueError(
                f"{file.path} begins with a header, which the schema's column_names says it does "
                "not; take column_names out."
            )


def _fields_of(file, line, delimiter):
    """The fields of a file's first line, which may be in quotes."""
    # Arrow does not read a header alone: here it is its own first row.
    lines = b"%b\n%b\n" % ((line.encode() or b'""',) * 2)
    try:
        header = pyarrow.csv.read_csv(
            pa.BufferReader(lines),
            read_options=pyarrow.csv.ReadOptions(block_size=len(lines), use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
        )
    except pa.ArrowInvalid as error:
        raise ValueError(f"{file.path}, line 1: {error}. Repair the line.") from error
    return [field.strip() for field in header.column_names]


def text_types(schema):
    """What the fields of a text file are read as: numbers, integers or text."""
    types = {column.name: pa.float64() for column in schema.dense}
    for column in schema.sparse:
        if column.weights:
            types[column.weights] = pa.float64()
        if not column.cross:
            owner = schema.sparse_column(column.like or column.name)
            is_number = owner.ids == "integer" and column.separator is None
            types[column.name] = pa.int64() if is_number else pa.string()
    if schema.label is not None:
        types[schema.label] = pa.float64()
    return types


def _place(file, first, lines, first_row, row):
    """Where a row is, of some lines of which `first` are before them in the file.

    Raises:
        ValueError: where the file is to blame, rather than the line.
    """
    check_whole(file)
    return f"line {first + line_of_row(lines, row - first_row) + 1}"
