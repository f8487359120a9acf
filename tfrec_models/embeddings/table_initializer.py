"""Initial rows of a stack of tables, drawn by blocks."""

import contextlib
import contextvars
import math
import random
import zlib

import keras
import numpy as np
import tensorflow as tf

# Numbers drawn at once: 4 MB in float32.
BLOCK_SIZE = 2**20
# TensorFlow writes in place by numbers of 32 bits.
_INPLACE_ROWS = 2**31
# The distributions that are drawn by blocks, each with a scale and a shift.
UNIFORM, NORMAL, TRUNCATED = range(3)
# What a normal distribution cut off at two deviations loses of its standard deviation.
TRUNCATED_STDDEV = 0.87962566103423978

_default_bound: contextvars.ContextVar[float] = contextvars.ContextVar(
    "tfrec_models_default_bound", default=math.inf
)


@contextlib.contextmanager
def starting_within(bound):
    """Within it, tables built without a start of their own start uniform in at most ±`bound`."""
    token = _default_bound.set(bound)
    try:
        yield
    finally:
        _default_bound.reset(token)


class TableInitializer:
    """Fills the variable of a `TableStack`, holding little more than the variable itself.

    Blocks of rows are drawn and written in place: neither is a bfloat16 table drawn whole in
    float32, nor what a random or constant initializer of Keras gives made beside the variable.
    What another `init_fn` returns, one table at a time, lies beside it until it is written.

    Each table has numbers of its own, also where one initializer object serves several: those of
    an initializer with a seed follow from the seed and the table's name.

    Args:
        stack: `TableStack`.
    """

    def __init__(self, stack):
        self.stack = stack
        self.seed = random.randint(0, 2**31 - 1)
        bound = _default_bound.get()
        self.starts = {table.name: start_of(table, bound) for table in stack.tables}

    def __call__(self, shape, dtype=None, first_row=None):
        """Returns `shape[0]` rows from `first_row` on, of the whole variable unless it is given."""
        first_row = int(first_row or 0)
        tables, starts = self.stack.tables, self.starts
        kinds, scales, shifts = self._distributions()
        streams, whole = [(0, self.stack.num_rows, self.seed)], []
        in_place = shape[0] < _INPLACE_ROWS
        for table in tables:
            first, count = self.stack.first_rows[table.name], table.num_rows
            begin, end = max(first, first_row), min(first + count, first_row + shape[0])
            if begin >= end:
                continue
            if starts[table.name] is None:
                whole.append((table, begin - first, end - first, begin - first_row))
            elif (seed := _own_seed(table)) is not None:
                streams.append((first, first + count, seed))
        columns = shape[1]
        # What a function holds while it makes its rows is not beside the variable for the first.
        rows = _call(whole[0][0], dtype) if whole else None
        filled = _fill(
            tf.constant(shape, tf.int64),
            dtype,
            tuple(sorted(set(kinds))),
            # No more are drawn than a small stack has; they are the first of a whole block's.
            tf.constant(max(min(BLOCK_SIZE // columns, self.stack.num_rows), 1), tf.int64),
            tf.constant(first_row, tf.int64),
            self._ends(),
            tf.constant(kinds),
            tf.constant(scales, tf.float64),
            tf.constant(shifts, tf.float64),
            [tf.constant(stream, tf.int64) for stream in streams],
            in_place=in_place,
        )
        for table, begin, end, place in whole:
            rows = _call(table, dtype) if rows is None else rows
            numbers = tf.range(place, place + end - begin)
            filled = _write(filled, numbers, rows[begin:end], in_place)
            rows = None
        return tf.ensure_shape(filled, shape)

    def draw_rows(self, rows, dtype, seed):
        """Returns initial values for some rows of the variable, drawn again.

        Args:
            rows: int64 tensor (n,), of tables whose initial values are drawn or constant.
            dtype: that of the variable.
            seed: int tensor (2,), what the numbers follow from.
        """
        kinds, scales, shifts = self._distributions()
        drawn_dtype = tf.float64 if tf.as_dtype(dtype) == tf.float64 else tf.float32
        shape = tf.stack([tf.size(rows), self.stack.embedding_dim])
        numbers = _of_tables(
            lambda which: _DRAW[which](shape, seed, drawn_dtype),
            sorted(set(kinds)),
            tf.constant(kinds),
            tf.constant(scales, drawn_dtype)[:, tf.newaxis],
            tf.constant(shifts, drawn_dtype)[:, tf.newaxis],
            tf.searchsorted(self._ends(), rows, side="right"),
        )
        return tf.cast(numbers, dtype)

    def _distributions(self):
        """Distribution, scale and shift of each table's numbers, row 0 counting as the first."""
        # Row 0 belongs to no table and is zero; the rows of a foreign init_fn come later.
        ordered = [(UNIFORM, 0.0, 0.0)]
        ordered += [self.starts[table.name] or ordered[0] for table in self.stack.tables]
        return zip(*ordered, strict=True)

    def _ends(self):
        """The row each table ends before, row 0 counting as the first."""
        return tf.constant(
            np.cumsum([1, *(table.num_rows for table in self.stack.tables)]), tf.int64
        )


def start_of(table, bound):
    """Returns (distribution, scale, shift) of a table's numbers, or None where init_fn is called.

    Args:
        table: `EmbeddingBagConfig` or `EmbeddingConfig`.
        bound: float, what numbers without a start of their own stay within.
    """
    init_fn = table.init_fn
    if init_fn is None:
        low, high = table.init_range()
        if table.weight_init_min is None and table.weight_init_max is None:
            low, high = max(low, -bound), min(high, bound)
        return UNIFORM, (high - low) / 2, (high + low) / 2
    kind = type(init_fn)
    if kind is keras.initializers.Zeros:
        return UNIFORM, 0.0, 0.0
    if kind is keras.initializers.Ones:
        return UNIFORM, 0.0, 1.0
    if kind is keras.initializers.Constant and np.ndim(init_fn.value) == 0:
        return UNIFORM, 0.0, float(init_fn.value)
    if kind is keras.initializers.RandomUniform:
        low, high = init_fn.minval, init_fn.maxval
        return UNIFORM, (high - low) / 2, (high + low) / 2
    if kind is keras.initializers.RandomNormal:
        return NORMAL, init_fn.stddev, init_fn.mean
    if kind is keras.initializers.TruncatedNormal:
        return TRUNCATED, init_fn.stddev, init_fn.mean
    if kind in _VARIANCE_SCALING:
        return _scaled_by_fans(init_fn, table.num_rows, table.embedding_dim)
    return None


_VARIANCE_SCALING = (
    keras.initializers.VarianceScaling,
    keras.initializers.GlorotNormal,
    keras.initializers.GlorotUniform,
    keras.initializers.HeNormal,
    keras.initializers.HeUniform,
    keras.initializers.LecunNormal,
    keras.initializers.LecunUniform,
)


def _scaled_by_fans(init_fn, fan_in, fan_out):
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    variance = init_fn.scale / max(1.0, fans[init_fn.mode])
    if init_fn.distribution == "uniform":
        return UNIFORM, math.sqrt(3 * variance), 0.0
    if init_fn.distribution == "untruncated_normal":
        return NORMAL, math.sqrt(variance), 0.0
    return TRUNCATED, math.sqrt(variance) / TRUNCATED_STDDEV, 0.0


def _own_seed(table):
    """The seed of an initializer that was given one, distinguished by the table's name."""
    seed = table.init_fn and table.init_fn.get_config().get("seed")
    return None if not isinstance(seed, int) else seed ^ zlib.crc32(table.name.encode())


def _call(table, dtype):
    """Returns all rows of a table that its `init_fn` makes whole."""
    shape, init_fn = (table.num_rows, table.embedding_dim), table.init_fn
    if isinstance(init_fn, keras.initializers.Initializer):
        # A seeded initializer gives the same numbers whenever it is called; its clone others.
        init_fn = init_fn.clone()
    rows = tf.convert_to_tensor(init_fn(shape, dtype=dtype))
    if rows.shape != shape:
        raise ValueError(
            f"Table {table.name!r} has shape {shape}, its init_fn gave values of shape "
            f"{tuple(rows.shape)}. Return a tensor of the shape it is called with."
        )
    return rows


# All is made where the variable will lie, on a server for one.
@tf.function(autograph=False, reduce_retracing=True)
def _fill(shape, dtype, kinds, size, first_row, ends, kind, scale, shift, streams, in_place):
    """Returns rows of a stack.

    Args:
        shape: tensor, that of the piece of the variable: one trace serves every table.
        dtype: str, its dtype.
        kinds: tuple of int, the distributions in use.
        size: scalar tensor, the number of rows of a block.
        first_row: scalar tensor, the row of the variable that the piece begins at.
        ends: tensor, the row each table ends before, row 0 counting as the first.
        kind, scale, shift: tensors, how each table's numbers are distributed.
        streams: list of tensors (first row, end, seed), each overwriting those before it.
        in_place: bool, whether rows may be written in place.
    """
    drawn_dtype = tf.float64 if dtype == "float64" else tf.float32
    scale, shift = (tf.cast(values, drawn_dtype)[:, tf.newaxis] for values in (scale, shift))
    # Not `tf.zeros`: TensorFlow folds it into a constant of the graph, which writing in place would
    # change for the tables that the graph fills next.
    filled = tf.raw_ops.Empty(shape=tf.cast(shape, tf.int32), dtype=dtype, init=True)
    for stream in streams:
        first, end, seed = tf.unstack(stream)
        begin = tf.maximum(first, first_row)
        end = tf.minimum(end, first_row + shape[0])

        def draw(block, filled, first=first, begin=begin, end=end, seed=seed):
            # Blocks count from the start of the stream, whatever piece of it is asked for.
            start = first + block * size
            kept = tf.range(tf.maximum(begin - start, 0), tf.minimum(end - start, size))
            rows = start + kept
            table = tf.searchsorted(ends, rows, side="right")

            def numbers_of(which):
                values = _DRAW[which](
                    tf.stack([size, shape[1]]), tf.stack([seed, block]), drawn_dtype
                )
                return tf.gather(values, kept)

            numbers = _of_tables(numbers_of, kinds, kind, scale, shift, table)
            return block + 1, _write(filled, rows - first_row, numbers, in_place)

        _, filled = tf.while_loop(
            lambda block, _, first=first, end=end: first + block * size < end,
            draw,
            [(begin - first) // size, filled],
            parallel_iterations=1,
        )
    return filled


def _of_tables(numbers_of, kinds, kind, scale, shift, table):
    """Returns numbers for some rows, distributed as those of each one's table.

    Args:
        numbers_of: function from a distribution to a tensor (rows, columns) of it.
        kinds, kind, scale, shift: as for `_fill`.
        table: int tensor (rows,), the table of each.
    """
    numbers = numbers_of(kinds[0])
    for which in kinds[1:]:
        is_it = tf.gather(kind, table)[:, tf.newaxis] == which
        numbers = tf.where(is_it, numbers_of(which), numbers)
    return numbers * tf.gather(scale, table) + tf.gather(shift, table)


def _write(filled, rows, values, in_place):
    """Writes rows in place: `tf.tensor_scatter_nd_update` copies the whole table in a loop."""
    values = tf.cast(values, filled.dtype)
    if not in_place:
        return tf.tensor_scatter_nd_update(filled, rows[:, tf.newaxis], values)
    return tf.raw_ops.InplaceUpdate(x=filled, i=tf.cast(rows, tf.int32), v=values)


_DRAW = {
    UNIFORM: lambda shape, seed, dtype: tf.random.stateless_uniform(shape, seed, -1.0, 1.0, dtype),
    NORMAL: lambda shape, seed, dtype: tf.random.stateless_normal(shape, seed, dtype=dtype),
    TRUNCATED: lambda shape, seed, dtype: tf.random.stateless_truncated_normal(
        shape, seed, dtype=dtype
    ),
}
