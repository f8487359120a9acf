"""Second-order term of a factorization machine over embeddings, as published."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models.execution.compiled import Compiled
from tfrec_models.layers.embedding_lists import half_square_difference


@keras.saving.register_keras_serializable("tfrec_models")
class FieldFactorizationMachine(keras.layers.Layer):
    """The second-order term of a factorization machine over embeddings, as published.

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

    def __init__(self, **kwargs: Any) -> None:
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


def _vector_interaction(embeddings):
    by_column = half_square_difference(embeddings)
    return tf.cast(tf.reduce_sum(by_column, axis=1, keepdims=True), embeddings.dtype)
