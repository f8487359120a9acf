"""Tables of one shape and dtype, one below the other in a single variable."""

import copy

import numpy as np
import tensorflow as tf

from tfrec_models._rows.sharding import gather_rows
from tfrec_models.embeddings.table_initializer import TableInitializer


class TableStack:
    """Where each table lies in the variable that holds several.

    Row 0 belongs to no table: `tf.nn.safe_embedding_lookup_sparse` reads a row for each empty bag
    and masks the result, and with a row of its own no table's row counts as touched by it.

    Args:
        tables: list of `EmbeddingBagConfig` with equal embedding_dim, pooling and data_type.
    """

    def __init__(self, tables):
        self.tables = list(tables)
        self.embedding_dim = tables[0].embedding_dim
        self.pooling = tables[0].pooling
        self.data_type = tables[0].data_type
        ends = 1 + np.cumsum([table.num_rows for table in tables])
        self.first_rows = dict(
            zip([table.name for table in tables], [1, *ends[:-1].tolist()], strict=True)
        )
        self.num_rows = int(ends[-1])
        # Half the width for every id means half the time in the deduplication of a lookup.
        self.index_dtype = tf.int32 if self.num_rows < 2**31 else tf.int64
        # The id map of the managed tables, if there are any, once the layer is built.
        self.id_map = None
        self.columns = [
            (feature, table) for table in self.tables for feature in table.feature_names
        ]

    @property
    def feature_names(self):
        """The feature of each output column, in table order."""
        return [feature for feature, _ in self.columns]

    @property
    def column_tables(self):
        """The table of each output column."""
        return [table for _, table in self.columns]

    @property
    def column_first_rows(self):
        """The first row of each output column's table."""
        return [self.first_rows[table.name] for table in self.column_tables]

    @property
    def drops_ids(self):
        """Whether a table leaves ids out of their bags."""
        return any(table.row_policy == "drop" for table in self.tables)

    def with_features(self, features):
        """Returns the stack of the same tables with the output columns of some features alone."""
        return self.with_columns([column for column in self.columns if column[0] in features])

    def with_columns(self, columns):
        """Returns the stack of the same tables with some output columns, (feature, table) each."""
        part = copy.copy(self)
        part.columns = columns
        return part

    def rows_of(self, name):
        """Returns the first row of a table and its number of rows."""
        return self.first_rows[name], self.table(name).num_rows

    def table(self, name):
        """Returns the config of a table."""
        return next(table for table in self.tables if table.name == name)

    def read(self, variable, name):
        """Returns one table's rows, without a dense read of the others.

        Args:
            variable: that of the stack, or an optimizer's slot with a row for each of its rows.
            name: str, the table's name.
        """
        first, count = self.rows_of(name)
        return gather_rows(variable.value, tf.range(first, first + count, dtype=tf.int64))

    def write(self, variable, name, values):
        """Replaces one table's rows, in place.

        Raises:
            TypeError: if `values` are no real numbers.
            ValueError: if `values` has another shape than the table.
        """
        first, count = self.rows_of(name)
        values = tf.convert_to_tensor(values)
        if not (values.dtype.is_floating or values.dtype.is_integer):
            raise TypeError(
                f"Table {name!r} holds real numbers, received values of dtype {values.dtype.name}."
            )
        values = tf.cast(values, variable.dtype)
        shape = (count, *variable.shape[1:])
        if values.shape != shape:
            raise ValueError(
                f"Table {name!r} has shape {shape}, received values of shape {tuple(values.shape)}."
            )
        slices = tf.IndexedSlices(values, tf.range(first, first + count, dtype=tf.int64))
        for replica in _copies(variable.value):
            replica.scatter_update(slices)

    def initializer(self):
        """Returns an initializer of the whole variable, or of pieces of it: `TableInitializer`."""
        return TableInitializer(self)


def _copies(value):
    """The variable itself, or its copy on each device under MirroredStrategy."""
    return getattr(value, "values", None) or (value,)


def stack_tables(tables):
    """Returns the fewest `TableStack`s that hold all tables, in the order of first appearance."""
    stacks = {}
    for table in tables:
        key = (table.embedding_dim, table.pooling, table.data_type)
        stacks.setdefault(key, []).append(table)
    return [TableStack(members) for members in stacks.values()]
