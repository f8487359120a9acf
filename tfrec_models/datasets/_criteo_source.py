"""Criteo's raw files as a source: its own limits on labels and integers, and rows held out."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec_models.datasets._columns import RowError
from tfrec_models.datasets._criteo_columns import (
    DEFAULT_COLUMN_NAMES,
    DEFAULT_INT_NAMES,
    DEFAULT_LABEL_NAME,
)
from tfrec_models.datasets._csv import CsvSource, text_types
from tfrec_models.datasets._listing import list_files
from tfrec_models.datasets._text_errors import UNREADABLE, unreadable
from tfrec_models.datasets._text_lines import is_empty, rows_of, split_lines

SPLITS = ("all", "train", "test")


class CriteoSource:
    """Criteo's files, one after the other.

    Args:
        files: list of `DataFile`.
        schema: `Schema` of them.
        dense_min: int, the smallest integer that may be in them, or None.
        split: str, one of `SPLITS`.
        test_every: int, every so many-th row of a file is in split "test".
    """

    def __init__(self, files, schema, dense_min=None, split="all", test_every=2):
        types = text_types(schema)
        # A fraction is no integer, and neither is a label.
        for name in (*DEFAULT_INT_NAMES, *([schema.label] if schema.label else [])):
            types[name] = pa.int64()
        self._text = CsvSource(files, schema, schema.columns, "\t", types)
        self.types = self._text.types
        self._schema, self._dense_min = schema, dense_min
        self._split, self._test_every = split, test_every

    def units(self):
        """The files."""
        return self._text.units()

    def blocks(self, unit):
        """Yields the blocks of a file, with the rows of the split."""
        try:
            for block in self._text.blocks(unit):
                self._check(block)
                yield self._of_split(block)
        except RowError as error:
            if " fields, expected " not in error.what:
                raise
            kind = "a label, " if self._schema.label else "no label, "
            raise RowError(
                error.where,
                f"{error.what} A line has {kind}13 integers and 26 hexadecimal ids, separated by "
                "tabs; read files without labels, such as Criteo's test file, apart from the "
                "others.",
            ) from error

    def least(self, block):
        """The smallest integer of a block; one that is missing is 0."""
        columns = [block.column(name) for name in DEFAULT_INT_NAMES]
        return min(pc.min(column.fill_null(0)).as_py() for column in columns)

    def _check(self, block):
        if self._schema.label:
            labels = block.column(DEFAULT_LABEL_NAME).fill_null(-1).to_numpy()
            wrong = (labels != 0) & (labels != 1)
            if wrong.any():
                row = int(np.argmax(wrong))
                label = block.column(DEFAULT_LABEL_NAME)[row].as_py()
                shown = "an empty field" if label is None else label
                raise block.error(
                    DEFAULT_LABEL_NAME,
                    f"must hold 0 or 1, received {shown}. Repair or remove the line.",
                    row,
                )
        if self._dense_min is None or self.least(block) >= self._dense_min:
            return
        for name in DEFAULT_INT_NAMES:
            numbers = block.column(name).fill_null(0).to_numpy()
            if numbers.min(initial=0) < self._dense_min:
                row = int(np.argmin(numbers))
                raise block.error(
                    name,
                    f"holds {numbers[row]}, below dense_min={self._dense_min}, so that its "
                    "logarithm is not defined; give dense_min=criteo_dense_min(filenames).",
                    row,
                )

    def _of_split(self, block):
        if self._split == "all":
            return block
        numbers = block.first_row + np.arange(len(block)) + 1
        is_test = numbers % self._test_every == 0
        return block.take(np.flatnonzero(is_test == (self._split == "test")))


def files_of(filenames):
    """The files, and the first line of them that is not empty, or None.

    Raises:
        FileNotFoundError: if a file does not exist.
    """
    files = list_files(filenames)
    return files, next((line for file in files for line in lines_of(file)), None)


def lines_of(file):
    """Yields the lines of a file that are not empty."""
    try:
        for _, lines in rows_of(file, 0, None, has_header=False):
            yield from (line for line in split_lines(lines) if not is_empty(line))
    except UNREADABLE as error:
        raise unreadable(file, error) from error


def has_label(line):
    """Whether a line begins with a label."""
    return line is None or line.count(b"\t") + 1 != len(DEFAULT_COLUMN_NAMES) - 1
