"""Conversion and checks of jagged contents, by graph assertions where values are not known."""

import tensorflow as tf

from tfrec_models._checks.assertions import checked


def as_tensor(values, what):
    """Converts to a tensor; a RaggedTensor stays one."""
    if isinstance(values, tf.RaggedTensor):
        return values
    if isinstance(values, tf.SparseTensor):
        raise TypeError(
            f"{what} must be a tensor, a tf.RaggedTensor or an array, received a SparseTensor. "
            "Convert it with tf.RaggedTensor.from_sparse."
        )
    try:
        return tf.convert_to_tensor(values)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{what} must be a tensor or an array, received {type(values).__name__}: {error}"
        ) from error


def as_ids(values, what):
    """Converts integers of any type to an int32 or int64 tensor; a RaggedTensor stays one.

    Ids known to be none become int64: Python, NumPy and pandas call an empty list one of floats
    or objects. What else is no integer stays what it is.
    """
    tensor = as_tensor(values, what)
    flat = tensor.flat_values if isinstance(tensor, tf.RaggedTensor) else tensor
    if flat.dtype.is_integer:
        ids = _as_signed(flat, what)
    elif is_known_empty(flat):
        ids = tf.zeros(tf.shape(flat), tf.int64)
    else:
        ids = flat
    if ids is flat:
        return tensor
    return tensor.with_flat_values(ids) if isinstance(tensor, tf.RaggedTensor) else ids


def as_values(values, what):
    """Converts ids, or floats such as the embeddings of ids, as `as_ids` does.

    A tensor says what it holds, so one of floats stays one even if it is empty.
    """
    if isinstance(values, tf.Tensor) and not values.dtype.is_integer:
        return values
    return as_ids(values, what)


def as_weights(weights, what):
    """Converts to a tensor of floats; weights known to be none become float32."""
    tensor = as_tensor(weights, what)
    flat = tensor.flat_values if isinstance(tensor, tf.RaggedTensor) else tensor
    if flat.dtype.is_floating:
        return tensor
    if is_known_empty(flat):
        floats = tf.zeros(tf.shape(flat), tf.float32)
        return tensor.with_flat_values(floats) if isinstance(tensor, tf.RaggedTensor) else floats
    raise TypeError(
        f"{what} must be of floating type, received {flat.dtype.name}. "
        "Cast them with tf.cast(weights, tf.float32)."
    )


def as_integer(values, what):
    """Converts integers of any type, of shape `(n,)` or `(keys, examples)`, to a flat tensor."""
    tensor = as_ids(values, what)
    if not tensor.dtype.is_integer:
        raise TypeError(
            f"{what} must be of integer type, received {tensor.dtype.name}. "
            f"Cast it with tf.cast({what}, tf.int64)."
        )
    return tensor if tensor.shape.rank == 1 else tf.reshape(tensor, [-1])


def is_known_empty(tensor):
    """Whether a tensor has no elements as far as its static shape tells."""
    return tensor.shape.num_elements() == 0


def _as_signed(ids, what):
    if ids.dtype in (tf.int32, tf.int64):
        return ids
    if ids.dtype != tf.uint64:
        return tf.cast(ids, tf.int64 if ids.dtype == tf.uint32 else tf.int32)
    signed = tf.cast(ids, tf.int64)
    return checked(
        signed,
        tf.reduce_all(signed >= 0),
        f"{what} must be below 2**63 to fit into int64, received larger uint64 ones. Take them "
        "modulo the number of rows of their table.",
    )


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
        "offsets must end at the number of values, received a last entry and a number of values of",
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
        "lengths must sum to the number of values, received a sum and a number of values of",
        total,
        tf.cast(num_values, tf.int64),
    )


def checked_weights(weights, values):
    """Converts weights to floats, one for each value."""
    weights = as_weights(weights, "weights")
    return checked(
        weights,
        tf.shape(weights)[0] == tf.shape(values)[0],
        "weights must be as long as values, received lengths of",
        tf.shape(weights)[0],
        tf.shape(values)[0],
    )


def with_rank(values, what):
    """Returns values that have a first axis; those of unknown rank must have no other."""
    if values.shape.rank is None:
        return tf.ensure_shape(values, [None])
    if values.shape.rank == 0:
        raise ValueError(f"{what} must have shape (num_values,), received a scalar.")
    return values


def joined(tensors, what):
    """Puts tensors one after the other; int32 and int64 together become int64.

    A tensor known to be empty takes the type of the others.
    """
    dtypes = {tensor.dtype for tensor in tensors if not is_known_empty(tensor)}
    dtypes = dtypes or {tensor.dtype for tensor in tensors}
    if len(dtypes) > 1 and all(dtype.is_integer for dtype in dtypes):
        dtypes = {tf.int64}
    if len(dtypes) > 1:
        raise TypeError(
            f"{what} must be of one type to be joined, received "
            f"{sorted(dtype.name for dtype in dtypes)}. Cast them with tf.cast."
        )
    (dtype,) = dtypes
    return tf.concat([tf.cast(tensor, dtype) for tensor in tensors], 0)


def joined_weights(weights, places, what):
    """Puts weights one after the other, or returns None where there are none at all.

    Args:
        weights: list of tensors or None.
        places: dict from what the places are called, such as "keys", to a list of them.
        what: str, who joins.
    """
    ((called, places),) = places.items()
    without = [place for place, weight in zip(places, weights, strict=True) if weight is None]
    if len(without) == len(weights):
        return None
    if without:
        raise ValueError(
            f"{what} cannot join weighted and unweighted ones; those at {called} {without} "
            "have no weights."
        )
    return joined(weights, "weights")


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
