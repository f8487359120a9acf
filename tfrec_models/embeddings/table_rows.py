"""How a lookup gets at the rows of a table: as they lie in a variable, or decoded on the way."""

import abc

import tensorflow as tf

from tfrec_models._rows.sharding import gather_rows, shards


class VariableRows:
    """The rows of a variable, as they are.

    Args:
        variable: `tf.Variable` of shape `(rows, embedding_dim)`.
    """

    def __init__(self, variable):
        self.variable = variable
        self.dtype = variable.dtype

    def read_rows(self, rows):
        """Returns one row for each of `rows`."""
        return gather_rows(self.variable, rows)

    def rows_to_pool(self, rows):
        """Returns a table, and where in it `rows` lie."""
        return shards(self.variable), rows


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

    def rows_to_pool(self, rows):
        """Returns a table, and where in it `rows` lie; negative numbers stay as they are.

        Only the rows in use are decoded, each once. Row 0 stays row 0: it is read for empty bags.
        """
        used, position = tf.unique(tf.concat([[0], tf.maximum(rows, 0)], 0))
        position = tf.cast(position[1:], rows.dtype)
        return self.read_rows(used), tf.where(rows < 0, rows, position)
