"""Checks and concatenation of lists of embeddings."""

import math

import tensorflow as tf


def check_list(layer, embeddings):
    """Raises ValueError unless it is a list of at least one tensor with a batch axis."""
    if not isinstance(embeddings, (list, tuple)) or not embeddings:
        is_list = isinstance(embeddings, (list, tuple))
        received = "an empty list" if is_list else type(embeddings).__name__
        raise ValueError(
            f"{type(layer).__name__} takes a list of at least one tensor, received {received}. "
            "Put a single tensor in a list."
        )
    shapes = [tuple(embedding.shape) for embedding in embeddings]
    if any(len(shape) < 2 or None in shape[1:] for shape in shapes):
        raise ValueError(
            f"{type(layer).__name__} takes tensors of shape (batch, ...), all axes but the batch "
            f"known, received shapes {shapes}."
        )
    sizes = {shape[0] for shape in shapes if shape[0] is not None}
    if len(sizes) > 1:
        raise ValueError(
            f"{type(layer).__name__} needs as many examples in every tensor, received shapes "
            f"{shapes}."
        )


def concat_flat(embeddings):
    """Returns tensors (B, ...) flattened from axis 1 and side by side: (B, M)."""
    flat = [tf.reshape(part, [-1, math.prod(part.shape[1:])]) for part in embeddings]
    return tf.concat(flat, axis=1)


def flat_shape(input_shape):
    """The shape of all inputs flattened and side by side."""
    return (input_shape[0][0], sum(math.prod(shape[1:]) for shape in input_shape))


def half_square_difference(values):
    """((sum)^2 - sum of squares) / 2 along axis 1, in float32 at least."""
    if values.dtype.size < 4:
        values = tf.cast(values, tf.float32)
    return (tf.square(tf.reduce_sum(values, 1)) - tf.reduce_sum(tf.square(values), 1)) / 2
