"""Keys of a KeyedJaggedTensor taken apart and put into another order."""

import itertools

import numpy as np
import tensorflow as tf

from tfrec_models.sparse._take_bags import take_bags
from tfrec_models.sparse.kjt_layout import assemble, without_keys


def slice_keys(kjt, start, count):
    """Returns `count` keys from the one at `start` on."""
    stride = kjt.stride()
    keys = kjt.feature_names[start : start + count]
    splits = kjt.row_splits[start * stride : (start + count) * stride + 1]
    if keys:
        first, last = splits[0], splits[-1]
        splits = splits - first
    else:
        first = last = 0
        splits = without_keys(stride, kjt.row_splits.dtype)
    weights = None if kjt.flat_weights is None else kjt.flat_weights[first:last]
    return assemble(type(kjt), keys, kjt.flat_values[first:last], splits, weights)


def split_keys(kjt, segments):
    """Returns a KeyedJaggedTensor for each number of keys in `segments`."""
    if any(count < 0 for count in segments) or sum(segments) != len(kjt.feature_names):
        raise ValueError(
            f"split's segments must sum to the {len(kjt.feature_names)} keys, received {segments}."
        )
    starts = itertools.accumulate(segments, initial=0)
    return [slice_keys(kjt, *part) for part in zip(starts, segments, strict=False)]


def permute_keys(kjt, indices):
    """Returns the keys at `indices`, in that order."""
    if any(not 0 <= index < len(kjt.feature_names) for index in indices):
        raise ValueError(
            f"permute needs indices of the {len(kjt.feature_names)} keys, received {indices}."
        )
    if not indices:
        return slice_keys(kjt, 0, 0)
    keys = [kjt.feature_names[index] for index in indices]
    stride = tf.convert_to_tensor(kjt.stride(), tf.int32)
    bags = tf.range(stride)[tf.newaxis, :] + tf.constant(indices)[:, tf.newaxis] * stride
    bags = tf.reshape(bags, [-1])
    splits, (ids, weights) = take_bags(kjt.row_splits, bags, [kjt.flat_values, kjt.flat_weights])
    return assemble(type(kjt), keys, ids, splits, weights)


def has_known_edges(kjt):
    """Whether the offsets are known outside a graph."""
    return tf.get_static_value(kjt.row_splits) is not None


def edges_of_keys(kjt, method):
    """Returns a list with the start of each key's ids, and the end."""
    splits = tf.get_static_value(kjt.row_splits)
    if splits is None:
        raise ValueError(
            f"{method} returns a Python list, and this graph does not know the offsets. In it take "
            "tf.gather(kjt.offsets(), tf.range(len(kjt.keys()) + 1) * kjt.stride())."
        )
    return splits[np.arange(len(kjt.feature_names) + 1) * kjt.stride()].tolist()
