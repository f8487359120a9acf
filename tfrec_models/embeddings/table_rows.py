"""Stores of rows that a lookup reads: a variable, or rows decoded when they are read."""

import abc

import tensorflow as tf

from tfrec_models._rows.sharding import gather_rows
from tfrec_models.native.lookup import pool_rows


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


class KernelRows(VariableRows):
    """The rows of a variable that the kernels serve, each asked for ahead of its use."""

    def read_rows(self, rows):
        embeddings = pool_rows(self.variable, tf.reshape(rows, [-1]), None)
        shape = [-1 if size is None else size for size in rows.shape]
        return tf.reshape(embeddings, [*shape, self.variable.shape[1]])


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
