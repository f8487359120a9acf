"""Checks of jagged contents: at once where values are known, as graph assertions where not."""

import tensorflow as tf

from tfrec_models._checks.assertions import checked


def as_ids(values, what):
    """Converts to a tensor (RaggedTensor kept)."""
    if isinstance(values, tf.RaggedTensor):
        return values
    try:
        return tf.convert_to_tensor(values)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{what} must be a tensor or an array, received {type(values).__name__}: {error}"
        ) from error


def as_integer(values, what):
    """Converts to an int32 or int64 tensor; an empty Python list becomes int64."""
    if isinstance(values, (list, tuple)) and not len(values):
        return tf.zeros([0], tf.int64)
    tensor = as_ids(values, what)
    if tensor.dtype not in (tf.int32, tf.int64):
        raise TypeError(
            f"{what} must be of integer type (int32 or int64), received {tensor.dtype.name}. "
            f"Cast it with tf.cast({what}, tf.int64)."
        )
    return tensor


def checked_offsets(offsets, num_values, num_keys):
    """Offsets start at 0, never decrease, end at `num_values`, and hold whole examples per key."""
    size = tf.size(offsets, out_type=offsets.dtype)
    offsets = checked(
        offsets,
        size >= 1,
        "offsets must have one entry more than there are bags, received none.",
    )
    if num_keys:
        offsets = checked(
            offsets,
            tf.math.floormod(size - 1, num_keys) == 0,
            f"offsets must have keys x examples + 1 entries: with {num_keys} keys, one more than "
            f"a multiple of {num_keys}, received a length of",
            size,
        )
    else:
        offsets = checked(
            offsets, size == 1, "without keys offsets must be [0], received a length of", size
        )
    offsets = checked(
        offsets,
        offsets[0] == 0,
        "offsets must start at 0, received a first entry of",
        offsets[0],
    )
    offsets = checked(
        offsets,
        tf.reduce_all(offsets[1:] >= offsets[:-1]),
        "offsets must not decrease. If these are lengths, use from_lengths_sync.",
    )
    return checked(
        offsets,
        offsets[-1] == tf.cast(num_values, offsets.dtype),
        "offsets must end at the number of values. Received a last entry and a number of values of",
        offsets[-1],
        tf.cast(num_values, offsets.dtype),
    )


def checked_lengths(lengths, num_values, num_keys):
    """Lengths are not negative, sum to `num_values`, and hold whole examples per key."""
    size = tf.size(lengths)
    if num_keys:
        lengths = checked(
            lengths,
            tf.math.floormod(size, num_keys) == 0,
            f"lengths must have keys x examples entries: with {num_keys} keys, a multiple of "
            f"{num_keys}, received a length of",
            size,
        )
    else:
        lengths = checked(
            lengths, size == 0, "without keys lengths must be empty, received a length of", size
        )
    lengths = checked(lengths, tf.reduce_all(lengths >= 0), "lengths must not be negative.")
    total = tf.reduce_sum(tf.cast(lengths, tf.int64))
    return checked(
        lengths,
        total == tf.cast(num_values, tf.int64),
        "lengths must sum to the number of values. Received a sum and a number of values of",
        total,
        tf.cast(num_values, tf.int64),
    )


def checked_weights(weights, values):
    """Weights are floats, one for each value."""
    if not weights.dtype.is_floating:
        raise TypeError(
            f"weights must be of floating type, received {weights.dtype.name}. "
            "Cast them with tf.cast(weights, tf.float32)."
        )
    return checked(
        weights,
        tf.shape(weights)[0] == tf.shape(values)[0],
        "weights must be as long as values. Received lengths of",
        tf.shape(weights)[0],
        tf.shape(values)[0],
    )


def check_keys(keys):
    """Keys are distinct strings."""
    if isinstance(keys, str) or not all(isinstance(key, str) for key in keys):
        raise TypeError(f"keys must be a list of feature names (str), received {keys!r}.")
    keys = tuple(keys)
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise ValueError(
            f"keys must be distinct, received {list(keys)} with {repeated} more than once. "
            "Merge the ids of equal keys or rename them."
        )
    return keys
