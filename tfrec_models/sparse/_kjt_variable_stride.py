"""Bags that examples share, repeated so that every key has the same number of examples."""

import tensorflow as tf

from tfrec_models.sparse import _checks
from tfrec_models.sparse._take_bags import take_bags
from tfrec_models.sparse.jagged_tensor import jagged_parts


def repeated_parts(keys, values, weights, lengths, offsets, strides, inverse_indices):
    """Returns values, row splits and weights with a bag for each key of each example.

    Args:
        keys: tuple of str.
        values, weights, lengths, offsets: as for `KeyedJaggedTensor`, `strides[i]` bags of key i.
        strides: the bags of each key for each rank: (F, R) int. None where all keys have equally
            many.
        inverse_indices: pair of a list of F keys, in any order, and an int tensor (F, B): which of
            the bags of that key is that of the example.
    """
    values, splits, weights = jagged_parts(
        "KeyedJaggedTensor", values, weights, lengths, offsets, min(len(keys), 1)
    )
    num_bags = tf.size(splits, splits.dtype) - 1
    strides = _strides(keys, strides, num_bags)
    indices = tf.cast(_indices(keys, inverse_indices), splits.dtype)
    indices = _checks.checked(
        indices,
        tf.reduce_all((indices >= 0) & (indices < strides[:, tf.newaxis])),
        "inverse_indices must lie from 0 to below the number of bags of their key, which is:",
        strides,
    )
    first = tf.cumsum(strides, exclusive=True)
    bags = tf.reshape(indices + first[:, tf.newaxis], [-1])
    splits, (values, weights) = take_bags(splits, bags, [values, weights])
    return values, splits, weights


def _strides(keys, strides, num_bags):
    """The bags of each key (F,), known to be all bags together."""
    count = max(len(keys), 1)
    if strides is None:
        strides = tf.fill([len(keys)], num_bags // count)
    else:
        strides = tf.cast(_integers(strides, "stride_per_key_per_rank"), num_bags.dtype)
        if strides.shape.rank != 2 or strides.shape[0] not in (None, len(keys)):
            raise ValueError(
                "stride_per_key_per_rank must have a list of strides, one for each rank, for each "
                f"of the {len(keys)} keys, received shape {strides.shape}."
            )
        strides = tf.reduce_sum(strides, axis=1)
    return _checks.checked(
        strides,
        tf.reduce_sum(strides) == num_bags,
        "stride_per_key_per_rank must add up to the number of bags, received a sum and bags of:",
        tf.reduce_sum(strides),
        num_bags,
    )


def _indices(keys, inverse_indices):
    """The rows of the inverse indices in the order of the keys."""
    if not isinstance(inverse_indices, tuple | list) or len(inverse_indices) != 2:
        raise ValueError(
            "inverse_indices must be a pair of a list of keys and a tensor (keys, examples), "
            f"received {type(inverse_indices).__name__}."
        )
    names, indices = list(inverse_indices[0]), inverse_indices[1]
    missing = [key for key in keys if key not in names]
    indices = _integers(indices, "The tensor of inverse_indices")
    if missing or indices.shape.rank != 2 or indices.shape[0] not in (None, len(names)):
        raise ValueError(
            f"inverse_indices must have a row for each of the keys {list(keys)}, received those of "
            f"{names} with a tensor of shape {indices.shape}."
        )
    return tf.gather(indices, tf.constant([names.index(key) for key in keys], tf.int32))


def _integers(values, what):
    """Integers in the shape they are given in."""
    values = tf.convert_to_tensor(values)
    if not values.dtype.is_integer:
        raise TypeError(f"{what} must hold integers, received {values.dtype.name}.")
    return values
