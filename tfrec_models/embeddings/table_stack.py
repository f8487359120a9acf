"""Tables of one shape and dtype, one below the other in a single variable."""

import random

import numpy as np
import tensorflow as tf

from tfrec_models._rows.sharding import gather_rows


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
        return any(table.id_policy == "drop" for table in self.tables)

    def rows_of(self, name):
        """Returns the first row of a table and its number of rows."""
        table = next(table for table in self.tables if table.name == name)
        return self.first_rows[name], table.num_rows

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
            ValueError: if `values` has another shape than the table.
        """
        first, count = self.rows_of(name)
        values = tf.cast(tf.convert_to_tensor(values), variable.dtype)
        shape = (count, *variable.shape[1:])
        if values.shape != shape:
            raise ValueError(
                f"Table {name!r} has shape {shape}, received values of shape {tuple(values.shape)}."
            )
        slices = tf.IndexedSlices(values, tf.range(first, first + count, dtype=tf.int64))
        for copy in _copies(variable.value):
            copy.scatter_update(slices)

    def initializer(self):
        """Returns an initializer for the whole variable that makes no second copy of it.

        What the `init_fn` of tables gives lies beside it until the variable is filled.

        With `first_row` it fills as many rows from that one on, as the servers that hold pieces of
        the variable ask for.
        """
        seed = random.randint(0, 2**31 - 1)

        def initialize(shape, dtype=None, first_row=None):
            low, high = np.array([(0.0, 0.0), *(table.init_range() for table in self.tables)]).T
            counts = [1, *(table.num_rows for table in self.tables)]
            begin = 0 if first_row is None else int(first_row)
            brought = self._brought_rows(begin, shape[0], dtype)
            if first_row is not None:
                half_width, middle = np.float32((high - low) / 2), np.float32((high + low) / 2)
                ends = np.cumsum(counts)
                return _uniform_from_row(
                    shape,
                    dtype,
                    np.int64(seed),
                    np.int64(first_row),
                    ends,
                    half_width,
                    middle,
                    brought,
                )
            half_width = np.repeat(np.float32((high - low) / 2), counts)[:, np.newaxis]
            middle = np.float32((high + low) / 2)
            middle = np.repeat(middle, counts)[:, np.newaxis] if middle.any() else None
            seeds = tf.constant([seed, 0])
            return _uniform_by_rows(shape, dtype, seeds, half_width, middle, brought)

        return initialize

    def _brought_rows(self, first_row, num_rows, dtype):
        """The rows of tables with an initializer of their own, as (where they begin, rows).

        Args:
            first_row, num_rows: those of the piece of the variable that is filled.
            dtype: str.
        """
        brought = []
        for table in self.tables:
            first = self.first_rows[table.name] - first_row
            begin, end = max(first, 0), min(first + table.num_rows, num_rows)
            if table.init_fn is not None and begin < end:
                shape = (table.num_rows, table.embedding_dim)
                rows = tf.convert_to_tensor(table.init_fn(shape, dtype=dtype))
                if rows.shape != shape:
                    raise ValueError(
                        f"Table {table.name!r} has shape {shape}, its init_fn gave values of shape "
                        f"{tuple(rows.shape)}. Return a tensor of the shape it is called with."
                    )
                begin_here = tf.constant(begin, tf.int64)
                brought.append((begin_here, rows[begin - first : end - first]))
        return brought


# Inside a tf.function each step writes over its input, so that one table's worth of memory is
# enough; eagerly every step would allocate its own.
@tf.function
def _uniform_by_rows(shape, dtype, seed, half_width, middle, brought):
    drawn_dtype = tf.float64 if dtype == "float64" else tf.float32
    drawn = tf.random.stateless_uniform(shape, seed, -1.0, 1.0, drawn_dtype)
    drawn *= tf.cast(half_width, drawn_dtype)
    if middle is not None:
        drawn += tf.cast(middle, drawn_dtype)
    filled = tf.cast(drawn, dtype)
    for first, rows in brought:
        places = first + tf.range(tf.shape(rows, tf.int64)[0])
        filled = tf.tensor_scatter_nd_update(filled, places[:, tf.newaxis], tf.cast(rows, dtype))
    return filled


@tf.function
def _uniform_from_row(shape, dtype, seed, first_row, ends, half_width, middle, brought):
    # Everything the length of the rows is made here, on the server that keeps them.
    rows = first_row + tf.range(shape[0], dtype=tf.int64)
    table = tf.searchsorted(tf.cast(ends, tf.int64), rows, side="right")
    return _uniform_by_rows(
        shape,
        dtype,
        tf.stack([seed, first_row]),
        tf.gather(half_width, table)[:, tf.newaxis],
        tf.gather(middle, table)[:, tf.newaxis],
        brought,
    )


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
