"""Deep half of DeepFM."""

from typing import Any

import keras

from tfrec_models._serialization import DeserializesChildren
from tfrec_models.layers.embedding_lists import check_list, concat_flat, flat_shape


@keras.saving.register_keras_serializable("tfrec_models")
class DeepFM(DeserializesChildren, keras.layers.Layer):
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

    def __init__(self, dense_module: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(dense_module, keras.layers.Layer):
            raise TypeError(
                "dense_module must be a Keras layer, such as MLP, received "
                f"{type(dense_module).__name__}."
            )
        self.dense_module = dense_module

    def build(self, input_shape=None):
        if self.built:
            return
        if not self.dense_module.built:
            # Shapes of anything but a list are for `call` to refuse.
            is_list = input_shape is not None and isinstance(input_shape[0], (tuple, list))
            self.dense_module.build(flat_shape(input_shape) if is_list else None)
        self.built = True

    def call(self, embeddings):
        check_list(self, embeddings)
        return self.dense_module(concat_flat(embeddings))

    def compute_output_shape(self, input_shape):
        return self.dense_module.compute_output_shape(flat_shape(input_shape))

    def get_config(self):
        return {
            **super().get_config(),
            "dense_module": keras.saving.serialize_keras_object(self.dense_module),
        }
