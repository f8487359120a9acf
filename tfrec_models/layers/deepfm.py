"""The two halves of DeepFM over a list of embeddings (as `torchrec.modules.deepfm`)."""

import math

import keras
import tensorflow as tf

from tfrec_models.layers.xla import Compiled


@keras.saving.register_keras_serializable("tfrec_models")
class FactorizationMachine(keras.layers.Layer):
    """The second-order term of a factorization machine over single numbers.

    With z all inputs flattened and side by side, M columns:

        y = sum over i < j of z_i z_j = ((z_1 + .. + z_M)^2 - (z_1^2 + .. + z_M^2)) / 2

    This is TorchRec's: every number is crossed with every other, also within one embedding. The
    FM of the paper crosses whole embeddings by their dot products; that one is
    `FieldFactorizationMachine`. No weights; computed in float32 at least, since the two squares
    nearly cancel, and compiled with XLA.

    Paper: Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction,
    https://arxiv.org/abs/1703.04247.

    Args:
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        List of tensors `(batch, ...)`.

    Output shape:
        `(batch, 1)`.

    Raises:
        ValueError: at a call on something other than a list of such tensors, or an empty one.

    Example:

    >>> import keras
    >>> from tfrec_models.layers import FactorizationMachine
    >>> embeddings = [keras.ops.ones((3, 2, 4)), keras.ops.ones((3, 5))]
    >>> FactorizationMachine()(embeddings).numpy().tolist()
    [[78.0], [78.0], [78.0]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._program = Compiled(_scalar_interaction)

    def build(self, input_shape=None):
        self.built = True

    def call(self, embeddings):
        check_list(self, embeddings)
        return self._program(list(embeddings))

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], 1)


@keras.saving.register_keras_serializable("tfrec_models")
class FieldFactorizationMachine(keras.layers.Layer):
    """The second-order term of a factorization machine over embeddings, as the paper has it.

    With v_f the embedding of field f, of F:

        y = sum over f < g of v_f . v_g
          = sum over columns of ((v_1 + .. + v_F)^2 - (v_1^2 + .. + v_F^2)) / 2

    TorchRec has no counterpart. No weights; computed in float32 at least, since the two squares
    nearly cancel, and compiled with XLA.

    Paper: Rendle, Factorization Machines, ICDM 2010, https://doi.org/10.1109/ICDM.2010.127.

    Args:
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, F, D)`.

    Output shape:
        `(batch, 1)`.

    Raises:
        ValueError: at a call on inputs of another rank.

    Example:

    >>> import keras
    >>> from tfrec_models.layers import FieldFactorizationMachine
    >>> FieldFactorizationMachine()(keras.ops.ones((2, 3, 5))).numpy().tolist()
    [[15.0], [15.0]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._program = Compiled(_vector_interaction)

    def build(self, input_shape=None):
        self.built = True

    def call(self, embeddings):
        if len(embeddings.shape) != 3:
            raise ValueError(
                f"{type(self).__name__} takes embeddings of shape (batch, fields, dim), received "
                f"{tuple(embeddings.shape)}."
            )
        return self._program(embeddings)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)


@keras.saving.register_keras_serializable("tfrec_models")
class DeepFM(keras.layers.Layer):
    """The deep half of DeepFM: a layer over a list of embeddings, flattened and side by side.

        y = dense_module([z_1 | z_2 | ..])

    The name is TorchRec's; the second-order half is `FactorizationMachine`, and a whole model
    `tfrec_models.deepfm.DeepFMRanker`.

    Paper: Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction,
    https://arxiv.org/abs/1703.04247.

    Args:
        dense_module: a Keras layer over `(batch, M)`, such as `MLP`, M being the number of
            columns of all embeddings together.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        List of tensors `(batch, ...)`.

    Output shape:
        That of `dense_module`.

    Raises:
        TypeError: if `dense_module` is no Keras layer.
        ValueError: at a call on something other than a list of such tensors, or an empty one.

    Example:

    >>> import keras
    >>> from tfrec_models.layers import DeepFM, MLP
    >>> deep_fm = DeepFM(dense_module=MLP(in_size=13, layer_sizes=[6, 4]))
    >>> deep_fm([keras.ops.ones((3, 2, 4)), keras.ops.ones((3, 5))]).shape
    TensorShape([3, 4])
    """

    def __init__(self, dense_module, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(dense_module, keras.layers.Layer):
            raise TypeError(
                "dense_module must be a Keras layer, such as MLP, received "
                f"{type(dense_module).__name__}."
            )
        self.dense_module = dense_module

    def build(self, input_shape=None):
        if not self.dense_module.built:
            # Shapes of anything but a list are for `call` to refuse.
            is_list = input_shape is not None and isinstance(input_shape[0], (tuple, list))
            self.dense_module.build(_flat_shape(input_shape) if is_list else None)
        self.built = True

    def call(self, embeddings):
        check_list(self, embeddings)
        return self.dense_module(concat_flat(embeddings))

    def compute_output_shape(self, input_shape):
        return self.dense_module.compute_output_shape(_flat_shape(input_shape))

    def get_config(self):
        return {
            **super().get_config(),
            "dense_module": keras.saving.serialize_keras_object(self.dense_module),
        }

    @classmethod
    def from_config(cls, config):
        module = keras.saving.deserialize_keras_object(config["dense_module"])
        return cls(**{**config, "dense_module": module})


def check_list(layer, embeddings):
    """Raises ValueError unless it is a list of at least one tensor with a batch axis."""
    if not isinstance(embeddings, (list, tuple)) or not embeddings:
        is_list = isinstance(embeddings, (list, tuple))
        came = "an empty list" if is_list else type(embeddings).__name__
        raise ValueError(
            f"{type(layer).__name__} takes a list of at least one tensor, received {came}. Put a "
            "single tensor in a list."
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


def _flat_shape(input_shape):
    return (input_shape[0][0], sum(math.prod(shape[1:]) for shape in input_shape))


def _scalar_interaction(embeddings):
    flat = concat_flat(embeddings)
    return tf.cast(_half_square_difference(flat)[:, tf.newaxis], flat.dtype)


def _vector_interaction(embeddings):
    by_column = _half_square_difference(embeddings)
    return tf.cast(tf.reduce_sum(by_column, axis=1, keepdims=True), embeddings.dtype)


def _half_square_difference(values):
    """((sum)^2 - sum of squares) / 2 along axis 1, in float32 at least."""
    if values.dtype.size < 4:
        values = tf.cast(values, tf.float32)
    return (tf.square(tf.reduce_sum(values, 1)) - tf.reduce_sum(tf.square(values), 1)) / 2
