"""Files of separated values as blocks of rows."""

import dataclasses

import pyarrow as pa
import pyarrow.csv

from tfrec_models.datasets import _listing
from tfrec_models.datasets._columns import Block
from tfrec_models.datasets._names import check_columns
from tfrec_models.datasets._parquet import Unit

CODECS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_REFUSED = {
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress (.Z)",
    b"7z\xbc\xaf": "7-Zip",
}
_BLOCK_BYTES = 1 << 22


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

    Raises:
        ValueError: on a file that lacks a column, has a header where none is declared or the
            reverse, or a compression that is not read.
    """

    def __init__(self, files, schema, columns, delimiter=None):
        self._files = files
        self._columns = columns
        self._delimiter = delimiter
        self._names = schema.column_names
        self._partition_types = _listing.partition_types(files)
        self._types = text_types(schema)
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
        if not file.size:
            return
        layout = self.layout(file)
        read = pyarrow.csv.ReadOptions(
            column_names=self._names, block_size=_BLOCK_BYTES, use_threads=False
        )
        parse = pyarrow.csv.ParseOptions(delimiter=layout.delimiter)
        first_row = 0
        try:
            with (
                opened(file) as stream,
                pyarrow.csv.open_csv(
                    stream, read_options=read, parse_options=parse, convert_options=layout.convert
                ) as batches,
            ):
                for batch in batches:
                    yield Block(self._completed(batch, file), file.path, first_row)
                    first_row += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise explained(file, error, has_header=self._names is None) from error
        file.check_unchanged()

    def layout(self, file):
        """How the lines of a file are to be read, after a look at the first one."""
        first = self._first_line(file)
        delimiter = self._delimiter or ("\t" if "\t" in first else ",")
        fields = [field.strip().strip('"') for field in first.split(delimiter)]
        self._check_header(file, fields)
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

    def batch_of_lines(self, file, layout, lines, on_wrong_row):
        """The record batch of some whole lines of a file.

        Args:
            file: `DataFile`.
            layout: `TextLayout` of the file.
            lines: bytes.
            on_wrong_row: function that is given each `pyarrow.csv.InvalidRow`, a line with another
                number of fields; it is left out.

        Raises:
            pa.ArrowInvalid: on a field that is not of its column's type.
        """

        def skip(row):
            on_wrong_row(row)
            return "skip"

        read = pyarrow.csv.ReadOptions(
            column_names=layout.names, block_size=max(len(lines), 1), use_threads=False
        )
        parse = pyarrow.csv.ParseOptions(delimiter=layout.delimiter, invalid_row_handler=skip)
        table = pyarrow.csv.read_csv(
            pa.BufferReader(lines),
            read_options=read,
            parse_options=parse,
            convert_options=layout.convert,
        ).combine_chunks()
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
        try:
            with opened(file) as stream:
                start = stream.read(1 << 16)
        except OSError as error:
            raise explained(file, error, False) from error
        return start.split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8", "replace").lstrip("\ufeff")

    def _check_header(self, file, fields):
        if self._names is None:
            there = [*fields, *(name for name, _ in file.partition)]
            try:
                check_columns(file.path, self._columns, there)
            except ValueError as error:
                raise ValueError(
                    f"{error} The first line must name the columns; for files without a header, "
                    "give column_names to the schema."
                ) from None
        elif fields == self._names:
            raise ValueError(
                f"{file.path} begins with a header, which the schema's column_names says it does "
                "not; take column_names out."
            )


def opened(file):
    """A stream of a file's bytes, unpacked whatever compresses it."""
    with file.filesystem.open_input_file(file.path) as raw:
        start = raw.read(6)
    for magic, name in _REFUSED.items():
        if start.startswith(magic):
            raise ValueError(
                f"{file.path} must be plain or compressed by gzip, bzip2 or Zstandard, received "
                f"{name}; unpack it first."
            )
    codec = next((codec for magic, codec in CODECS.items() if start.startswith(magic)), None)
    return file.filesystem.open_input_stream(file.path, compression=codec)


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


def explained(file, error, has_header):
    """What Arrow says about a file of text, with its name and what to do."""
    message = str(error)
    if isinstance(error, OSError):
        what = "is cut off" if "Truncated" in message else "cannot be read or unpacked"
        return ValueError(f"{file.path} {what}: {message}. Fetch the file again.")
    header = "counting the header as row 1" if has_header else "counting from 1"
    return ValueError(f"{file.path}: {message} ({header}). Repair or remove the line.")
