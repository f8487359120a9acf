"""What `tf.shape` and `tf.cast` do with a KeyedJaggedTensor; Keras calls both of inputs."""

import tensorflow as tf

from tfrec_models.sparse.keyed_jagged_tensor import KeyedJaggedTensor
from tfrec_models.sparse.kjt_layout import assemble


@tf.experimental.dispatch_for_api(tf.shape, {"input": KeyedJaggedTensor})
def shape_of_batch(input, out_type=tf.int32, name=None):
    """Keras asks for the batch size of an input with `tf.shape(x)[0]`."""
    return tf.stack(
        [
            tf.cast(input.stride(), out_type),
            tf.constant(len(input.feature_names), out_type),
            tf.cast(tf.reduce_max(tf.concat([[0], input.lengths()], 0)), out_type),
        ],
        name=name,
    )


@tf.experimental.dispatch_for_api(tf.cast, {"x": KeyedJaggedTensor})
def cast_ids(x, dtype, name=None):
    """Casts the ids; a Keras layer casts what it takes for dense features of another precision."""
    if tf.as_dtype(dtype).is_floating:
        raise TypeError(
            f"KeyedJaggedTensor values must be ids of an integer type, received {x.dtype.name}. "
            "Cast them with tf.cast(kjt, tf.int64)."
        )
    values = tf.cast(x.flat_values, dtype, name)
    return assemble(type(x), x.feature_names, values, x.row_splits, x.flat_weights)
