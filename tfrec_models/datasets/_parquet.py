"""Parquet files as blocks of rows."""

import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq

from tfrec_models.datasets import _listing
from tfrec_models.datasets._columns import Block
from tfrec_models.datasets._names import check_columns
from tfrec_models.datasets._opened import check_not_packed

_BLOCK_ROWS = 32768


@dataclasses.dataclass(frozen=True)
class Unit:
    """What is read in one go: a row group, a file, or a piece of a table.

    Args:
        number: int, its place in the source's own order.
        num_rows: int, or None where only reading tells.
    """

    number: int
    num_rows: int | None


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """A row group of one of several files.

    Args:
        file: int, the number of the file.
        number: int, its number in the file.
        first_row: int, the number of its first row in the file.
        num_rows: int.
        num_bytes: int, of its columns before they are compressed.
    """

    file: int
    number: int
    first_row: int
    num_rows: int
    num_bytes: int


class ParquetSource:
    """Parquet files, row group by row group.

    Args:
        files: list of `DataFile`.
        columns: list of str, those to read.

    Raises:
        ValueError: on a file that is cut off or damaged, or lacks a column; names it.
    """

    def __init__(self, files, columns):
        self._files = files
        self._columns = columns
        self._partition_types = _listing.partition_types(files)
        self._metadata = []
        self.row_groups = []
        self.types = {}
        for number, file in enumerate(files):
            with named(file), file.filesystem.open_input_file(file.path) as opened:
                metadata = pq.read_metadata(opened)
            self._metadata.append(metadata)
            self._check_types(file, metadata)
            first_row = 0
            for group in range(metadata.num_row_groups):
                of_group = metadata.row_group(group)
                num_rows = of_group.num_rows
                self.row_groups.append(
                    RowGroup(number, group, first_row, num_rows, of_group.total_byte_size)
                )
                first_row += num_rows

    def units(self):
        """The row groups, file by file."""
        return [Unit(i, group.num_rows) for i, group in enumerate(self.row_groups)]

    def blocks(self, unit):
        """Yields the blocks of a row group."""
        group = self.row_groups[unit.number]
        file, metadata = self._files[group.file], self._metadata[group.file]
        in_file = set(metadata.schema.to_arrow_schema().names)
        columns = [name for name in self._columns if name in in_file]
        where = f"row group {group.number}"
        seen = 0
        with named(file, where), file.filesystem.open_input_file(file.path) as opened:
            file.check_unchanged()
            batches = pq.ParquetFile(
                opened, metadata=metadata, page_checksum_verification=True
            ).iter_batches(_BLOCK_ROWS, [group.number], columns, use_threads=False)
            for batch in batches:
                batch = _listing.with_partition(batch, file, self._partition_types, self._columns)
                yield Block(batch, file.path, group.first_row + seen)
                seen += batch.num_rows
            file.check_unchanged()
        if seen != group.num_rows:
            raise ValueError(
                f"{file.path}, {where}: has {seen} rows, its footer says {group.num_rows}. Write "
                "the file again."
            )

    def _check_types(self, file, metadata):
        with named(file):
            schema = metadata.schema.to_arrow_schema()
        types = {field.name: field.type for field in schema}
        for name, _ in file.partition:
            types.setdefault(name, self._partition_types[name])
        of_folders = [name for name in types if name not in schema.names]
        check_columns(file.path, self._columns, [*schema.names, *of_folders])
        for name in self._columns:
            first = self.types.setdefault(name, types[name])
            if pa.types.is_nested(first) != pa.types.is_nested(types[name]):
                raise ValueError(
                    f"{file.path}: column {name!r} holds {types[name]}, and {first} in "
                    f"{self._files[0].path}; read files of one layout together."
                )


class named:
    """Names the file in what Arrow says about it."""

    def __init__(self, file, where=""):
        self._file = file
        self._name = file.path + (f", {where}" if where else "")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if isinstance(error, pa.ArrowException | OSError) and not isinstance(
            error, FileNotFoundError
        ):
            self._file.check_unchanged()
            check_not_packed(self._file, "Parquet", "which is compressed within itself")
            raise ValueError(
                f"{self._name} is cut off, damaged or not Parquet: {error}. Write or fetch the "
                "file again."
            ) from error
        return False
