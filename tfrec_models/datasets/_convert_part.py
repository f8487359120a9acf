"""One part of a log converted: a Parquet file, a file of rejected rows and a record of both."""

import dataclasses
import hashlib
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq

from tfrec_models._files import atomic_path
from tfrec_models.datasets._columns import Block, RowError
from tfrec_models.datasets._csv import CsvSource
from tfrec_models.datasets._encode import Encoder
from tfrec_models.datasets._listing import RECORDS
from tfrec_models.datasets._parquet import ParquetSource, Unit
from tfrec_models.datasets._prepared import PreparedLayout
from tfrec_models.datasets._sources import open_files
from tfrec_models.datasets._text_errors import UNREADABLE, LineError, check_whole, unreadable
from tfrec_models.datasets._text_lines import (
    count_lines,
    is_empty,
    is_row_a_line,
    number_of_lines,
    rows_of,
    split_lines,
)

_GROUP_ROWS = 1 << 17
_UNCLOSED = "has a quote that is not closed in it"
_BAD_LINES = (LineError, RowError, pa.ArrowInvalid)


class TooManyRejected(ValueError):
    """More rows are rejected than are allowed."""


# What a part raises, by name: it is passed between processes and machines.
ERRORS = {error.__name__: error for error in (TooManyRejected, ValueError, OSError)}


def kind_of(error):
    """The name in `ERRORS` of one of them."""
    return next(name for name, kind in ERRORS.items() if isinstance(error, kind))


@dataclasses.dataclass(frozen=True)
class Job:
    """What every process of a conversion knows.

    Args:
        files: list of `DataFile`, the source.
        format: str, "parquet", "csv" or "tfrecord".
        delimiter: str or None.
        schema: `Schema` of the source.
        out: str, the folder to write to.
        parts: list of `Part`.
        max_rejected: float, the share of rows that may be rejected.
    """

    files: list
    format: str
    delimiter: str | None
    schema: object
    out: str
    parts: list
    max_rejected: float

    def open(self):
        """The opened source."""
        return open_files(self.files, self.format, self.schema, self.schema.columns, self.delimiter)

    def allowed(self):
        """No more rows than these may be rejected, however many rows there are; None: unknown."""
        rows = [part.max_rows for part in self.parts]
        if self.max_rejected == 0:
            return 0
        return None if None in rows else int(self.max_rejected * sum(rows))


class PartConverter:
    """Converts parts of a job, one at a time.

    Args:
        job: `Job`.
        on_rows: function of the number of rows that were read, now and then; what it raises
            ends the conversion.
    """

    def __init__(self, job, on_rows):
        self._job = job
        self.on_rows = on_rows
        self._source = job.open()
        self._allowed = job.allowed()
        self._layout = PreparedLayout(job.schema, Encoder(job.schema, self._source.types))

    def convert(self, number):
        """Writes the files of a part; returns the record of it, plain data."""
        part = self._job.parts[number]
        run = _Run(self._source, self._layout, part, self._job.files[part.file], self._allowed)
        path = os.path.join(self._job.out, part.name)
        with atomic_path(path) as pending:
            rows = self._write(pending, run)
            size, sha256 = os.path.getsize(pending), checksum(pending)
        record = {
            "name": part.name,
            "rows": rows,
            "rejected": len(run.rejected),
            "bytes": size,
            "sha256": sha256,
            "lines": run.lines,
            "rejected_rows": sorted(run.rejected, key=lambda row: row.get("line", row.get("row"))),
        }
        with atomic_path(record_path(self._job.out, part)) as pending:
            pending.write_text(json.dumps(record))
        return record

    def _write(self, path, run):
        rows, waiting = 0, []
        schema = self._layout.arrow_schema
        with pq.ParquetWriter(path, schema, write_page_checksum=True) as writer:
            for batch in run.batches():
                rows += batch.num_rows
                waiting.append(batch)
                if sum(b.num_rows for b in waiting) >= _GROUP_ROWS:
                    waiting = _write_groups(writer, waiting, schema)
                self.on_rows(batch.num_rows)
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting, schema))
        return rows


def record_path(out, part):
    """Where the record of a finished part is."""
    return os.path.join(out, RECORDS, f"{part.number:05d}.json")


def checksum(path):
    """The SHA-256 of a file, in hexadecimals."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def _write_groups(writer, batches, schema):
    """Writes whole row groups, so that their rows do not depend on how a source is read."""
    table = pa.Table.from_batches(batches, schema)
    whole = len(table) - len(table) % _GROUP_ROWS
    writer.write_table(table.slice(0, whole), row_group_size=_GROUP_ROWS)
    return table.slice(whole).to_batches()


class _Run:
    """A part as batches of ready columns, and what is left out of them."""

    def __init__(self, source, layout, part, file, allowed):
        self._source, self._layout, self._part, self.file = source, layout, part, file
        self._allowed = allowed
        self.rejected = []
        self.lines = 0

    def batches(self):
        """Yields record batches."""
        if isinstance(self._source, CsvSource):
            return self._of_text()
        return self._of_blocks()

    def _of_blocks(self):
        part = self._part
        numbers = range(part.start, part.stop) if part.stop is not None else [part.start]
        if isinstance(self._source, ParquetSource):
            units = [Unit(number, None) for number in numbers]
        else:
            units = [Unit(part.file, None)] if part.size else []
        for unit in units:
            for block in self._source.blocks(unit):
                yield from self._batches_of_block(block)

    def _batches_of_block(self, block):
        """The rows of a block that are as declared; halves it to find those that are not."""
        try:
            return [self._layout.batch(block)]
        except (RowError, pa.ArrowInvalid) as error:
            if block.batch.num_rows == 1:
                [values] = block.batch.to_pylist()
                self._reject(block, _what(error), values)
                return []
            # What is wrong without any row is the column's type, of which no row is to blame.
            self._layout.batch(block.part(0, 0))
            middle = block.batch.num_rows // 2
            halves = [(0, middle), (middle, block.batch.num_rows)]
            return [batch for half in halves for batch in self._batches_of_block(block.part(*half))]

    def _of_text(self):
        part, file = self._part, self.file
        layout = self._source.layout(file) if part.size else None
        if layout is None:
            return
        try:
            for first, lines in rows_of(file, part.start, part.stop, layout.has_header):
                yield from self._batches_of_lines(layout, lines, first)
                self.lines = first + number_of_lines(lines)
        except UNREADABLE as error:
            raise unreadable(file, error) from error
        file.check_unchanged()

    def _batches_of_lines(self, layout, lines, first):
        """The lines that are as declared."""
        if is_empty(lines):
            return []
        try:
            return [self._batch_of_lines(layout, lines)]
        except _BAD_LINES:
            numbered = [
                (first + i, line) for i, line in enumerate(split_lines(lines)) if not is_empty(line)
            ]
        # Most lines that are wrong are cut off or joined: they are found without parsing.
        delimiter, expected, left = layout.delimiter.encode(), len(layout.names), []
        for number, line in numbered:
            fields = line.count(delimiter) + 1
            # What is in quotes may hold delimiters; a carriage return has a reason of its own.
            if fields == expected or b'"' in line or b"\r" in line.rstrip(b"\r\n"):
                left.append((number, line))
            else:
                self._reject_line(number, f"has {fields} fields, expected {expected}", line)
        return self._halved(layout, left)

    def _halved(self, layout, numbered):
        """Halves lines, pairs of a number and bytes, to find those that are not as declared."""
        if not numbered:
            return []
        try:
            return [self._batch_of_lines(layout, b"".join(line for _, line in numbered))]
        except _BAD_LINES as error:
            if len(numbered) == 1:
                [(number, line)] = numbered
                self._reject_line(number, _what(error), line)
                return []
        middle = len(numbered) // 2
        return self._halved(layout, numbered[:middle]) + self._halved(layout, numbered[middle:])

    def _batch_of_lines(self, layout, lines):
        batch = self._source.batch_of_lines(self.file, layout, lines)
        if not is_row_a_line(batch.num_rows, lines):
            raise RowError("", _UNCLOSED)
        last = lines[lines.rfind(b"\n", 0, -1) + 1 :]
        if last.count(b'"') % 2:
            last = last.removesuffix(b"\n") + b"\n"
            if self._source.batch_of_lines(self.file, layout, last * 2).num_rows != 2:
                raise RowError("", _UNCLOSED)
        return self._layout.batch(Block(batch, self.file.path, 0))

    def _reject_line(self, line, what, text):
        if self._is_too_many():
            check_whole(self.file)
            before = count_lines(self.file, self._part.start) if self._part.start else 0
            raise TooManyRejected(f"{self.file.path}, line {before + line + 1}: {what}")
        text = text.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
        self.rejected.append({"line": line + 1, "reason": what, "text": text})

    def _reject(self, block, what, values):
        if self._is_too_many():
            raise TooManyRejected(f"{block.name}, row {block.first_row}: {what}")
        values = {name: _plain(value) for name, value in values.items()}
        self.rejected.append({"row": block.first_row, "reason": what, "values": values})

    def _is_too_many(self):
        return self._allowed is not None and len(self.rejected) >= self._allowed


def _what(error):
    """What is wrong with a row that was read alone."""
    return error.what if isinstance(error, LineError | RowError) else str(error)


def _plain(value):
    """A value of a row as JSON has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
