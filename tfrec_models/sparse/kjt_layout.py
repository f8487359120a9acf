"""How a KeyedJaggedTensor lays out its bags, for code that does not import the class."""

import tensorflow as tf


def assemble(cls, keys, values, offsets, weights):
    """Returns a KeyedJaggedTensor of parts known to fit, without checking them again.

    Args:
        cls: `KeyedJaggedTensor`, or the `value_type` of its spec.
        offsets: as `row_splits` holds them, see `without_keys`.
    """
    kjt = object.__new__(cls)
    vars(kjt).update(
        feature_names=tuple(keys), flat_values=values, row_splits=offsets, flat_weights=weights
    )
    return kjt


def without_keys(stride, dtype):
    """Returns the row splits of `stride` examples without any key.

    No bag would tell the number of examples, so `row_splits` holds one empty bag for each.
    """
    return tf.zeros([stride + 1], dtype)


def static_stride(kjt):
    """The number of examples of a KeyedJaggedTensor or its spec: an int, or None if not known."""
    if kjt.row_splits.shape.rank is None or kjt.row_splits.shape[0] is None:
        return None
    return (kjt.row_splits.shape[0] - 1) // _rows_of_bags(kjt)


def dynamic_stride(kjt):
    """The number of examples: an int where known, else a scalar int32 tensor."""
    static = static_stride(kjt)
    return (tf.size(kjt.row_splits) - 1) // _rows_of_bags(kjt) if static is None else static


def static_shape(kjt):
    """Static shape `(B, F, None)` of a KeyedJaggedTensor or its spec."""
    return tf.TensorShape([static_stride(kjt), len(kjt.feature_names), None])


def without_examples(spec):
    """Returns the KeyedJaggedTensor of type `spec` that has no examples."""
    weights = spec.flat_weights
    return assemble(
        spec.value_type,
        spec.feature_names,
        tf.zeros([0], spec.flat_values.dtype),
        tf.zeros([1], spec.row_splits.dtype),
        None if weights is None else tf.zeros([0], weights.dtype),
    )


def num_splits(spec, stride):
    """The length of `row_splits` with `stride` examples, None if that is not known."""
    return None if stride is None else stride * _rows_of_bags(spec) + 1


def example_major(kjt, flat):
    """Returns `flat` (the ids or the weights) as ragged `(B, F, None)`."""
    keys, stride = len(kjt.feature_names), kjt.stride()
    bags = tf.gather(kjt.as_bags(flat), _transposed(keys, stride))
    dtype = bags.row_splits.dtype
    return tf.RaggedTensor.from_uniform_row_length(
        bags, tf.cast(keys, dtype), nrows=tf.cast(stride, dtype)
    )


def key_major(spec, ids, weights):
    """Returns the KeyedJaggedTensor of type `spec` from ragged `(B, F, None)`."""
    keys, stride = len(spec.feature_names), ids.nrows()
    order = _transposed(stride, keys)
    bags = tf.gather(ids.values, order)
    splits = bags.row_splits if keys else without_keys(stride, bags.row_splits.dtype)
    # Ragged tensors made of variants do not know the rank of their parts.
    flat = tf.ensure_shape(bags.values, spec.flat_values.shape)
    if weights is not None:
        weights = tf.gather(weights.values, order).values
        weights = tf.ensure_shape(weights, spec.flat_weights.shape)
    splits = tf.ensure_shape(splits, spec.row_splits.shape)
    return assemble(spec.value_type, spec.feature_names, flat, splits, weights)


def _rows_of_bags(kjt):
    return max(len(kjt.feature_names), 1)


def _transposed(rows, columns):
    """Indices that turn a flat `(rows, columns)` order into `(columns, rows)`."""
    rows, columns = tf.cast(rows, tf.int64), tf.cast(columns, tf.int64)
    return tf.reshape(
        tf.range(rows)[tf.newaxis, :] * columns + tf.range(columns)[:, tf.newaxis], [-1]
    )
