"""Second-order term of a factorization machine over single numbers, TorchRec's."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models.execution.compiled import Compiled
from tfrec_models.layers.embedding_lists import check_list, concat_flat, half_square_difference


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

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._program = Compiled(_scalar_interaction)

    def build(self, input_shape=None):
        self.built = True

    def call(self, embeddings):
        check_list(self, embeddings)
        return self._program(list(embeddings))

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], 1)


def _scalar_interaction(embeddings):
    flat = concat_flat(embeddings)
    return tf.cast(half_square_difference(flat)[:, tf.newaxis], flat.dtype)
