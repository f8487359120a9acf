"""Stores of rows that a lookup reads: a variable, or rows decoded when they are read."""

import abc

import tensorflow as tf

from tfrec_models._rows.sharding import gather_rows


class VariableRows:
    """The rows of a variable, as they are.

    Args:
        variable: `tf.Variable` of shape `(rows, embedding_dim)`.
    """

    def __init__(self, variable):
        self.variable = variable
        self.dtype = tf.as_dtype(variable.dtype)

    def read_rows(self, rows):
        """Returns one row for each of `rows`."""
        return gather_rows(self.variable, rows)


class DecodedRows(abc.ABC):
    """Rows that are stored in another form than they are used in.

    Args:
        dtype: the dtype of the rows when read.
    """

    def __init__(self, dtype):
        self.dtype = tf.as_dtype(dtype)

    @abc.abstractmethod
    def read_rows(self, rows):
        """Returns one decoded row for each of `rows`, a tensor of any shape."""
