"""A schema's transforms, hashes and vocabularies in a graph of stock operations."""

import numpy as np
import tensorflow as tf

from tfrec_models._checks.assertions import after, refuse_unless

_HEX_DIGITS = 8


class RawEncoder:
    """Makes dense features and bags of ids of the columns of a log, as `datasets.read` does.

    Numbers are computed in float64, which is how `read` computes columns of integers and doubles;
    those that a log has in single precision it computes in that, which may differ in the last bit
    of a dense feature.

    Args:
        schema: `tfrec_models.datasets.Schema`, fitted.

    Raises:
        ValueError: if it has not learned what it needs, or a missing value is an id outside its
            table.
    """

    def __init__(self, schema):
        _check_learned(schema)
        self._schema = schema
        self._vocabularies = {
            name: _vocabulary(keys) for name, keys in schema.learned["vocabularies"].items()
        }

    @property
    def resources(self):
        """The lookup tables, for a SavedModel to keep."""
        return list(self._vocabularies.values())

    def dense(self, numbers):
        """Returns the dense features `(B, n)` float32.

        Args:
            numbers: dict from column to float64 tensor `(B,)`, NaN where it is missing.
        """
        columns = [self._transformed(column, numbers[column.name]) for column in self._schema.dense]
        return tf.stack([tf.cast(column, tf.float32) for column in columns], axis=1)

    def bags(self, values, weights, num_rows):
        """Returns ids, lengths and weights, three lists with one for each sparse feature.

        Args:
            values: dict from column to ragged values `(B, None)`, strings or int64; of a single
                value no value where it is missing.
            weights: dict from column to ragged float32.
            num_rows: int32 scalar, B.
        """
        # A cross reads columns beside their own features, so all are checked first.
        values = {
            name: self._checked(self._schema.sparse_column(name), ragged)
            for name, ragged in values.items()
        }
        ids, lengths, of_ids = [], [], []
        for name in self._schema.sparse_feature_names:
            column = self._schema.sparse_column(name)
            if column.cross:
                flat, of_rows = self._crossed(column, values), tf.ones([num_rows], tf.int64)
                ours = None
            else:
                ours = weights[column.weights] if column.weights else None
                flat, of_rows, ours = self._encoded(column, values[name], ours)
            ids.append(flat)
            lengths.append(of_rows)
            of_ids.append(tf.ones(tf.shape(flat)) if ours is None else ours)
        return ids, lengths, of_ids if self._schema.is_weighted else None

    def _checked(self, column, values):
        """The values of a column, refused where a row does not have the number declared."""
        if column.is_list and column.separator is None:
            return values
        lengths = values.row_lengths()
        if column.is_list or column.missing is None:
            check = _check_rows(column.name, lengths, tf.ones_like(lengths), "one value a row")
        else:
            wanted = tf.minimum(lengths, 1)
            what = "one value a row, or none where it is missing"
            check = _check_rows(column.name, lengths, wanted, what)
        return after([check], values)

    def _encoded(self, column, values, weights):
        """Flat ids, lengths and flat weights or None."""
        if column.separator is not None:
            values = _split(values.values, column.separator)
        if not column.is_list:
            return self._encoded_single(column, values, weights)
        if weights is not None:
            same = _check_rows(
                column.name, weights.row_lengths(), values.row_lengths(), "one weight for each id"
            )
            values, weights = after([same], [values, weights])
        if column.max_length is not None:
            values = values[:, -column.max_length :]
            weights = None if weights is None else weights[:, -column.max_length :]
        ids = self._ids(column, values.values)
        return ids, values.row_lengths(), None if weights is None else weights.values

    def _encoded_single(self, column, values, weights):
        lengths = values.row_lengths()
        if weights is not None:
            ones = tf.ones_like(lengths)
            check = _check_rows(column.name, weights.row_lengths(), ones, "one weight in each row")
            weights = after([check], weights.values)
        ids, is_there = self._ids(column, values.values), lengths > 0
        if column.missing is None:
            return ids, lengths, weights
        if column.missing == "drop":
            weights = None if weights is None else tf.boolean_mask(weights, is_there)
            return ids, lengths, weights
        return _filled(ids, is_there, column.missing), tf.ones_like(lengths), weights

    def _crossed(self, column, values):
        parts = [values[name] for name in column.cross]
        is_there = tf.stack([part.row_lengths() > 0 for part in parts])
        is_there = tf.reduce_all(is_there, axis=0)
        if not isinstance(column.missing, int):
            check = refuse_unless(
                is_there,
                "Column {} crosses a missing value in example {}; declare missing=<id> in the "
                "schema, or give the value.",
                tf.fill(tf.shape(is_there), column.name),
                tf.range(tf.size(is_there)),
            )
            parts, is_there = after([check], [parts, is_there])
        rows = tf.cast(tf.reshape(tf.where(is_there), [-1]), tf.int64)
        prints = [tf.fingerprint(_as_text(tf.gather(part, rows).values)) for part in parts]
        number = tf.bitcast(tf.fingerprint(tf.concat(prints, 1)), tf.uint64)
        ids = tf.cast(number % tf.constant(column.num_ids, tf.uint64), tf.int64)
        if not isinstance(column.missing, int):
            return ids
        return _filled(ids, is_there, column.missing)

    def _ids(self, column, values):
        """Ids (n,) int64 of values (n,)."""
        table = self._schema.sparse_column(column.like or column.name)
        if table.ids == "integer":
            return values
        num_ids = self._schema.num_ids(table.name)
        if table.ids == "hash":
            return tf.strings.to_hash_bucket_fast(values, num_ids)
        if table.ids == "hex":
            return _hex(column.name, values) % num_ids
        return self._vocabularies[table.name].lookup(_fingerprints(values))

    def _transformed(self, column, x):
        is_missing = tf.math.is_nan(x)
        if column.fill is None:
            check = refuse_unless(
                ~is_missing,
                "Column {} is missing in example {}; declare a fill in the schema, or give it.",
                tf.fill(tf.shape(x), column.name),
                tf.range(tf.size(x)),
            )
            x = after([check], x)
        else:
            x = tf.where(is_missing, tf.constant(column.fill, x.dtype), x)
        statistics = self._schema.learned["statistics"].get(column.name)
        if column.transform == "log1p":
            return tf.math.log1p(tf.maximum(x, 0))
        if column.transform == "log":
            return _log(column, x)
        if column.transform == "clip":
            low = -np.inf if column.low is None else column.low
            high = np.inf if column.high is None else column.high
            return tf.clip_by_value(x, tf.constant(low, x.dtype), tf.constant(high, x.dtype))
        if column.transform == "standardize":
            variance = statistics["sum_of_squares"] / max(statistics["count"], 1)
            scale = variance**-0.5 if variance > 0 else 0.0
            return (x - statistics["mean"]) * scale
        if column.transform == "quantile":
            inner = tf.constant(statistics["quantiles"], x.dtype)
            below = tf.searchsorted(inner, x, side="right")
            return tf.cast(below, x.dtype) / column.num_buckets
        return x


def _check_learned(schema):
    learned = schema.learned
    absent = [c.name for c in schema.dense if c.is_learned and c.name not in learned["statistics"]]
    absent += [
        column.name
        for column in schema.sparse
        if column.ids == "vocabulary" and column.name not in learned["vocabularies"]
    ]
    if absent:
        raise ValueError(
            f"schema has not learned the columns {absent} yet; call schema.fit(source), or load "
            "the schema that the model was trained with."
        )
    for column in schema.sparse:
        is_id = isinstance(column.missing, int)
        if is_id and column.missing >= schema.num_ids(column.name):
            raise ValueError(
                f"Sparse {column.name!r}: missing must be below the {schema.num_ids(column.name)} "
                f"ids of its table, received {column.missing}."
            )


def _vocabulary(keys):
    """A table from fingerprints of values to 1, 2, ..; 0 for any other."""
    prints = _fingerprints(tf.constant(keys, tf.string))
    numbers = tf.range(1, len(keys) + 1, dtype=tf.int64)
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(prints, numbers), default_value=0
    )


def _fingerprints(texts):
    return tf.bitcast(tf.fingerprint(texts), tf.int64)


def _as_text(values):
    return values if values.dtype == tf.string else tf.strings.as_string(values)


def _split(texts, separator):
    """Parts of each text; an empty text has none."""
    parts = tf.strings.split(texts, separator)
    keep = tf.gather(tf.not_equal(texts, ""), parts.value_rowids())
    return tf.ragged.boolean_mask(parts, parts.with_values(keep))


def _filled(ids, is_there, missing):
    """One id for each row: those that are there, and `missing` elsewhere."""
    rows = tf.where(is_there)
    every = tf.fill(tf.shape(is_there), tf.constant(missing, tf.int64))
    return tf.tensor_scatter_nd_update(every, rows, ids)


def _log(column, x):
    shifted = x + column.offset
    check = refuse_unless(
        shifted > 0,
        "Column {} holds {} in example {}, whose log(x + {}) is not defined.",
        tf.fill(tf.shape(x), column.name),
        x,
        tf.range(tf.size(x)),
        tf.fill(tf.shape(x), tf.constant(column.offset, x.dtype)),
    )
    return tf.math.log(after([check], shifted))


def _hex(name, texts):
    """The numbers of hexadecimal texts of 1 to 8 digits."""
    is_hex = tf.strings.regex_full_match(texts, f"[0-9a-fA-F]{{1,{_HEX_DIGITS}}}")
    check = refuse_unless(
        is_hex,
        "Column {} must hold hexadecimal ids of 1 to 8 digits, received {}.",
        tf.fill(tf.shape(texts), name),
        texts,
    )
    zeros = tf.fill(tf.shape(texts), "0" * _HEX_DIGITS)
    padded = tf.strings.substr(
        tf.strings.join([zeros, after([check], texts)]), -_HEX_DIGITS, _HEX_DIGITS
    )
    characters = tf.cast(tf.io.decode_raw(padded, tf.uint8, fixed_length=_HEX_DIGITS), tf.int64)
    # Letters begin at 0x41 or 0x61, with ten for the first.
    digits = characters % 16 + tf.where(characters >= 0x40, tf.constant(9, tf.int64), 0)
    places = tf.constant([16**place for place in reversed(range(_HEX_DIGITS))], tf.int64)
    return tf.reduce_sum(digits * places, axis=1)


def _check_rows(name, numbers, wanted, what):
    return refuse_unless(
        numbers == wanted,
        f"Column {{}} must have {what}, received {{}} in example {{}}.",
        tf.fill(tf.shape(numbers), name),
        numbers,
        tf.range(tf.size(numbers)),
    )
