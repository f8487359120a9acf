"""One key of TorchRec's state dict: where its value is kept, and how it converts."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfrec_models.embeddings.table_stack import TableStack


def _same(array):
    return array


@dataclasses.dataclass
class Entry:
    """A variable under TorchRec's name.

    Args:
        variable: the `keras.Variable` it is kept in.
        shape: tuple of int, TorchRec's shape.
        to_torchrec: function from an array laid out as the variable to TorchRec's layout.
        from_torchrec: function from an array in TorchRec's layout to the variable's.
    """

    variable: keras.Variable
    shape: tuple
    to_torchrec: Callable = _same
    from_torchrec: Callable = _same

    @property
    def shapes(self):
        """The shapes that `prepare` takes."""
        return [self.shape]

    def read(self, keep_oov_row=False):
        """Returns the value as a NumPy array in TorchRec's layout."""
        return self.take(keras.ops.convert_to_numpy(self.variable))

    def prepare(self, array):
        """Returns what `write` takes: an array in the variable's layout and dtype.

        Everything that can fail does so here, before anything is written.

        Raises:
            ValueError: if a value is out of the range of the variable's dtype.
        """
        return _cast(self.from_torchrec(array), self.variable.dtype)

    def write(self, prepared):
        """Sets the value from what `prepare` returned."""
        self.variable.assign(prepared)

    def take(self, array):
        """Returns this entry's part of an array laid out as the variable."""
        return np.ascontiguousarray(self.to_torchrec(array))


@dataclasses.dataclass
class TableEntry:
    """One table in a stack; read and written without a copy of the others.

    TorchRec's table has a row for each id. A table with the "oov" id policy has one more, for
    all other ids; it is read on request, and written if it is there.

    Args:
        variable: that of the stack, or an optimizer's slot with a row for each of its rows.
        stack: `TableStack`, where the table lies in it.
        name: str, the table's name.
    """

    variable: keras.Variable
    stack: TableStack
    name: str

    @property
    def shape(self):
        """TorchRec's shape."""
        table = next(table for table in self.stack.tables if table.name == self.name)
        return (table.num_embeddings, *self.variable.shape[1:])

    @property
    def shapes(self):
        """The shapes that `prepare` takes: with and without the row of the "oov" id policy."""
        num_rows = self.stack.rows_of(self.name)[1]
        return list(dict.fromkeys([self.shape, (num_rows, *self.shape[1:])]))

    def read(self, keep_oov_row=False):
        rows = self.stack.read(self.variable, self.name).numpy()
        return rows if keep_oov_row else rows[: self.shape[0]]

    def prepare(self, array):
        return _cast(array, self.variable.dtype)

    def write(self, prepared):
        if len(prepared) < self.shapes[-1][0]:
            last = self.stack.read(self.variable, self.name)[self.shape[0] :].numpy()
            prepared = np.concatenate([prepared, last])
        self.stack.write(self.variable, self.name, prepared)

    def take(self, array):
        first, _ = self.stack.rows_of(self.name)
        return array[first : first + self.shape[0]]


def table_entry(variable, stack, name):
    """Returns the `TableEntry` of a table whose rows are numbered as TorchRec's are.

    Raises:
        ValueError: if its ids are managed.
    """
    if stack.table(name).is_managed:
        raise ValueError(
            "TorchRec's tables are numbered by id, so a table must have numbered ids to be "
            f"converted, received {name!r} with ManagedIds. Write its rows by id to a table of "
            "another id_policy, with ids_of() and read_table(), and convert that."
        )
    return TableEntry(variable, stack, name)


@dataclasses.dataclass
class JoinedEntry:
    """Several entries that TorchRec keeps as one, one below the other."""

    parts: list

    @property
    def shape(self):
        rows = sum(part.shape[0] for part in self.parts)
        return (rows, *self.parts[0].shape[1:])

    @property
    def shapes(self):
        return [self.shape]

    def read(self, keep_oov_row=False):
        return np.concatenate([part.read() for part in self.parts])

    def prepare(self, array):
        ends = np.cumsum([part.shape[0] for part in self.parts])
        pieces = np.split(array, ends[:-1])
        return [part.prepare(rows) for part, rows in zip(self.parts, pieces, strict=True)]

    def write(self, prepared):
        for part, rows in zip(self.parts, prepared, strict=True):
            part.write(rows)


def _cast(array, dtype):
    """An array in a variable's dtype; not copied if it is in it.

    Raises:
        ValueError: if a finite value would become infinite.
    """
    dtype = tf.as_dtype(dtype).as_numpy_dtype
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if (np.isinf(cast) & np.isfinite(array)).any():
        largest = np.max(np.abs(array[np.isfinite(array)]))
        raise ValueError(
            f"values must lie in the range of {np.dtype(dtype).name}, received one of magnitude "
            f"{largest:.4g}"
        )
    return cast
