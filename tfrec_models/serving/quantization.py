"""Embedding tables stored in fewer bytes and decoded row by row."""

import numpy as np
import tensorflow as tf

from tfrec_models.embeddings.find_tables import tables_in
from tfrec_models.embeddings.table_rows import DecodedRows

TABLE_DTYPES = ("int8", "int4", "float16", "bfloat16")
_CHUNK_ROWS = 65_536
_SCALE_BYTES = 8
_NUM_BITS = {"int8": 8, "int4": 4}


class CodedRows(DecodedRows):
    """Rows of codes of few bits, with a scale s and a bias b for each row: `s code + b`.

    As TorchRec's quantised collections: b is the smallest value of the row, and s the range over
    the largest code, so a value is off by half of that at most.

    Args:
        num_rows: int.
        embedding_dim: int.
        dtype: the dtype of the rows when read.
        num_bits: 8, or 4 for two codes in a byte: those of the first half of the columns are the
            low bits. `embedding_dim` must be even then.
    """

    def __init__(self, num_rows, embedding_dim, dtype, num_bits):
        super().__init__(dtype)
        self.stored_dtype, self._is_packed = f"int{num_bits}", num_bits == 4
        self._largest = 2**num_bits - 1
        shape = [num_rows, embedding_dim * num_bits // 8]
        self.codes = tf.Variable(tf.zeros(shape, tf.uint8), trainable=False)
        self.scale_and_bias = tf.Variable(tf.zeros([num_rows, 2]), trainable=False)

    def write(self, first, values):
        """Encodes an array of rows, from row `first` on."""
        low = values.min(axis=1, keepdims=True).astype(np.float32)
        scale = ((values.max(axis=1, keepdims=True) - low) / self._largest).astype(np.float32)
        # A constant row has no range: all codes are 0, and the bias is the value.
        codes = np.rint((values - low) / np.where(scale == 0, 1, scale)).clip(0, self._largest)
        codes = codes.astype(np.uint8)
        if self._is_packed:
            first_half, second_half = np.split(codes, 2, axis=1)
            codes = first_half | second_half << 4
        rows = slice(first, first + len(values))
        self.codes[rows].assign(codes)
        self.scale_and_bias[rows].assign(np.concatenate([scale, low], axis=1))

    def read_rows(self, rows):
        scale, bias = tf.split(tf.gather(self.scale_and_bias, rows), 2, axis=-1)
        codes = tf.gather(self.codes, rows)
        if self._is_packed:
            halves = [tf.bitwise.bitwise_and(codes, 15), tf.bitwise.right_shift(codes, 4)]
            codes = tf.concat(halves, -1)
        return tf.cast(tf.cast(codes, tf.float32) * scale + bias, self.dtype)


class HalfRows(DecodedRows):
    """Rows of float16 or bfloat16.

    Args:
        num_rows: int.
        embedding_dim: int.
        dtype: the dtype of the rows when read.
        stored_dtype: "float16" or "bfloat16".
    """

    def __init__(self, num_rows, embedding_dim, dtype, stored_dtype):
        super().__init__(dtype)
        self.stored_dtype = stored_dtype
        shape = [num_rows, embedding_dim]
        self.values = tf.Variable(tf.zeros(shape, stored_dtype), trainable=False)

    def write(self, first, values):
        """Encodes an array of rows, from row `first` on."""
        self.values[first : first + len(values)].assign(tf.cast(values, self.values.dtype))

    def read_rows(self, rows):
        return tf.cast(tf.gather(self.values, rows), self.dtype)


def compact_rows(model, table_dtype):
    """Replaces the tables of a model by copies in fewer bytes; `fill_rows` copies them.

    Tables that would not shrink, such as those of one column as int8, are left as they are.

    Args:
        model: a built `RankingModel`.
        table_dtype: one of `TABLE_DTYPES`, or None for the tables as they are.

    Returns:
        A dict from `TableStack` to the rows that lookups read in place of its variable.

    Raises:
        ValueError: if a table of an odd embedding_dim would be int4.
    """
    rows = {
        stack: _make_rows(stack, variable, table_dtype)
        for layer in tables_in(model)
        for stack, variable in zip(layer.table_stacks, layer.table_variables, strict=True)
    }
    return {stack: made for stack, made in rows.items() if made is not None}


def fill_rows(model, rows):
    """Copies the tables of a model into `rows`.

    Args:
        model: a built `RankingModel`.
        rows: what `compact_rows` returned.

    Returns:
        A list of dict, one for each table, with its dtype and the errors of its rows.

    Raises:
        ValueError: if a table has values that float16 cannot hold.
    """
    return [
        {"layer": layer.name, **_describe(table, stack, variable, rows.get(stack))}
        for layer in tables_in(model)
        for stack, variable in zip(layer.table_stacks, layer.table_variables, strict=True)
        for table in stack.tables
    ]


def _make_rows(stack, variable, table_dtype):
    dtype = tf.as_dtype(variable.dtype)
    shape = stack.num_rows, stack.embedding_dim
    row_bytes = stack.embedding_dim * dtype.size
    if table_dtype in _NUM_BITS:
        num_bits = _NUM_BITS[table_dtype]
        if stack.embedding_dim * num_bits / 8 + _SCALE_BYTES >= row_bytes:
            return None
        if stack.embedding_dim * num_bits % 8:
            names = [table.name for table in stack.tables]
            raise ValueError(
                f"table_dtype={table_dtype!r} holds two numbers in a byte and needs an even "
                f"embedding_dim, received {stack.embedding_dim} of tables {names}. Use 'int8', or "
                f"train with an embedding_dim of {stack.embedding_dim + 1}."
            )
        return CodedRows(*shape, dtype, num_bits)
    if table_dtype in ("float16", "bfloat16") and dtype.size > 2:
        return HalfRows(*shape, dtype, table_dtype)
    return None


def _describe(table, stack, variable, rows):
    """Copies a table into `rows`, where there are any, and returns what to know about it."""
    described = {
        "name": table.name,
        "num_embeddings": table.num_embeddings,
        "embedding_dim": table.embedding_dim,
        "feature_names": list(table.feature_names),
        "id_policy": "managed" if table.is_managed else table.id_policy,
        "dtype": variable.dtype if rows is None else rows.stored_dtype,
        "max_abs_error": 0.0,
        "rms_error": 0.0,
    }
    if rows is None:
        return described
    start, count = stack.rows_of(table.name)
    largest, total = 0.0, 0.0
    for first in range(start, start + count, _CHUNK_ROWS):
        numbers = tf.range(first, min(first + _CHUNK_ROWS, start + count))
        # Not a slice: a dense read would copy the whole variable.
        values = tf.cast(tf.gather(variable.value, numbers), tf.float64).numpy()
        _check_held(values, described)
        rows.write(first, values)
        errors = np.abs(tf.cast(rows.read_rows(numbers), tf.float64).numpy() - values)
        _check_held(errors, described)
        largest, total = max(largest, float(errors.max())), total + float(np.square(errors).sum())
    rms = (total / (count * table.embedding_dim)) ** 0.5
    return {**described, "max_abs_error": largest, "rms_error": rms}


def _check_held(numbers, described):
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"Table {described['name']!r} has values that table_dtype={described['dtype']!r} "
            "cannot hold: NaN, infinity or numbers out of its range. Correct them, use 'bfloat16', "
            "which has the range of float32, or leave table_dtype out."
        )
