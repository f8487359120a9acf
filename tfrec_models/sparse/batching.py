"""How `tf.data` batches and unbatches a KeyedJaggedTensor."""

import tensorflow as tf

from tfrec_models._compat.tensorflow import ragged_from_variant, ragged_to_variant
from tfrec_models.sparse.kjt_layout import example_major, key_major, num_splits, static_stride


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
            _to_variant(example_major(value, flat), by_example=minimum_rank > 0)
            for flat in (value.flat_values, value.flat_weights)
            if flat is not None
        ]

    def decode(self, spec, encoded_value):
        splits_dtype = spec.row_splits.dtype
        ids = _from_variant(encoded_value[0], spec.flat_values.dtype, splits_dtype)
        weights = None
        if spec.flat_weights is not None:
            weights = _from_variant(encoded_value[1], spec.flat_weights.dtype, splits_dtype)
        return key_major(spec, ids, weights)


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


def _times(stride, batch_size):
    return None if stride is None or batch_size is None else stride * batch_size


def _with_stride(spec, stride):
    batched = type(spec).__new__(type(spec))
    vars(batched).update(vars(spec))
    row_splits = tf.TensorSpec([num_splits(spec, stride)], spec.row_splits.dtype)
    vars(batched).update(row_splits=row_splits)
    for field in ("flat_values", "flat_weights"):
        flat = getattr(spec, field)
        if flat is not None and flat.shape.rank is not None:
            vars(batched)[field] = tf.TensorSpec([None, *flat.shape[1:]], flat.dtype)
    return batched
