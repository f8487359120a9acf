"""How `tf.data` batches and unbatches a KeyedJaggedTensor."""

import tensorflow as tf

from tfrec_models._compat.tensorflow import ragged_from_variant, ragged_to_variant


class KeyedJaggedTensorBatchEncoder(tf.experimental.ExtensionTypeBatchEncoder):
    """Encodes examples as ragged variants, so that batching joins examples, not keys.

    A KeyedJaggedTensor is laid out key by key, and so cannot be stacked as it is. Each encoded
    scalar holds a whole `(examples, keys, None)` ragged; a batch is a vector of those, and
    decoding joins their examples.
    """

    def batch(self, spec, batch_size):
        return _with_stride(spec, _times(static_stride(spec), batch_size))

    def unbatch(self, spec):
        return _with_stride(spec, 1)

    def encoding_specs(self, spec):
        variant = tf.TensorSpec(None, tf.variant)
        return [variant] if spec.flat_weights is None else [variant, variant]

    def encode(self, spec, value, minimum_rank=0):
        return [
            _to_variant(ragged, by_example=minimum_rank > 0)
            for ragged in example_major(value)
            if ragged is not None
        ]

    def decode(self, spec, encoded_value):
        ids = _from_variant(encoded_value[0], spec.flat_values.dtype, spec.row_splits.dtype)
        weights = None
        if spec.flat_weights is not None:
            weights = _from_variant(
                encoded_value[1], spec.flat_weights.dtype, spec.row_splits.dtype
            )
        return key_major(spec, ids, weights)


def example_major(kjt):
    """Returns the ids, and the weights or None, as ragged `(B, F, None)`."""
    keys, stride = len(kjt.feature_names), kjt.stride()
    order = _transposed(keys, stride)

    def packed(flat):
        bags = tf.gather(kjt.as_bags(flat), order)
        return tf.RaggedTensor.from_uniform_row_length(
            bags, tf.cast(keys, bags.row_splits.dtype), nrows=tf.cast(stride, bags.row_splits.dtype)
        )

    weights = None if kjt.flat_weights is None else packed(kjt.flat_weights)
    return packed(kjt.flat_values), weights


def key_major(spec, ids, weights):
    """Returns the KeyedJaggedTensor of type `spec` from ragged `(B, F, None)`."""
    from tfrec_models.sparse.keyed_jagged_tensor import assemble

    keys = len(spec.feature_names)
    bags = ids.values
    order = _transposed(bags.nrows() // max(keys, 1), keys)
    bags = tf.gather(bags, order)
    if weights is not None:
        weights = tf.gather(weights.values, order).values
    splits = tf.ensure_shape(bags.row_splits, spec.row_splits.shape)
    return assemble(spec.feature_names, bags.values, splits, weights)


def _transposed(rows, columns):
    """Indices that turn a flat `(rows, columns)` order into `(columns, rows)`."""
    rows, columns = tf.cast(rows, tf.int64), tf.cast(columns, tf.int64)
    return tf.reshape(
        tf.range(rows)[tf.newaxis, :] * columns + tf.range(columns)[:, tf.newaxis], [-1]
    )


def _to_variant(ragged, by_example):
    """One scalar variant for all examples, or a vector with one for each."""
    if by_example:
        # An element of the vector must decode like a scalar: it holds a batch of one example.
        ragged = tf.expand_dims(ragged, 1)
    return ragged_to_variant(ragged, batched_input=by_example)


def _from_variant(variant, dtype, splits_dtype):
    elements = tf.reshape(variant, [-1])
    ragged = ragged_from_variant(
        elements, dtype, output_ragged_rank=3, row_splits_dtype=splits_dtype
    )
    return ragged.values


def static_stride(kjt):
    """The number of examples of a KeyedJaggedTensor or its spec: an int, or None if not known."""
    keys, splits = len(kjt.feature_names), kjt.row_splits.shape[0]
    if not keys:
        return 0
    return None if splits is None else (splits - 1) // keys


def _times(stride, batch_size):
    return None if stride is None or batch_size is None else stride * batch_size


def _with_stride(spec, stride):
    keys = len(spec.feature_names)
    splits = None if stride is None else keys * stride + 1
    batched = type(spec).__new__(type(spec))
    vars(batched).update(vars(spec))
    vars(batched).update(row_splits=tf.TensorSpec([splits], spec.row_splits.dtype))
    for field in ("flat_values", "flat_weights"):
        flat = getattr(spec, field)
        if flat is not None:
            shape = flat.shape.as_list()
            vars(batched)[field] = tf.TensorSpec([None, *shape[1:]], flat.dtype)
    return batched
