"""One key of TorchRec's state dict: where its value is kept, and how it converts."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from tfrec_models.embeddings.table_stack import TableStack


@dataclasses.dataclass
class Entry:
    """A variable, or some of its rows, under TorchRec's name.

    Args:
        variable: the `keras.Variable` it is kept in.
        shape: tuple of int, TorchRec's shape.
        convert: function from an array laid out as the variable to TorchRec's layout, and back up
            to a reshape.
    """

    variable: keras.Variable
    shape: tuple
    convert: Callable = lambda array: array

    def read(self):
        """Returns the value as a NumPy array in TorchRec's layout."""
        return self.take(keras.ops.convert_to_numpy(self.variable))

    def write(self, array):
        """Sets the value from an array in TorchRec's layout."""
        self.variable.assign(np.reshape(self.convert(array), self.variable.shape))

    def take(self, array):
        """Returns this entry's part of an array laid out as the variable."""
        return np.ascontiguousarray(self.convert(array))


@dataclasses.dataclass
class TableEntry:
    """One table in a stack; read and written without a copy of the others.

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
        """Rows and columns, the row of the "oov" id policy included."""
        return (self.stack.rows_of(self.name)[1], *self.variable.shape[1:])

    def read(self):
        return self.stack.read(self.variable, self.name).numpy()

    def write(self, array):
        self.stack.write(self.variable, self.name, array)

    def take(self, array):
        first, count = self.stack.rows_of(self.name)
        return array[first : first + count]


@dataclasses.dataclass
class JoinedEntry:
    """Several entries that TorchRec keeps as one, one below the other."""

    parts: list

    @property
    def shape(self):
        rows = sum(part.shape[0] for part in self.parts)
        return (rows, *self.parts[0].shape[1:])

    def read(self):
        return np.concatenate([part.read() for part in self.parts])

    def write(self, array):
        ends = np.cumsum([part.shape[0] for part in self.parts])
        for part, rows in zip(self.parts, np.split(array, ends[:-1]), strict=True):
            part.write(rows)
