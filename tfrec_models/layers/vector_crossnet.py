"""Cross network with one vector a layer (DCN)."""

import keras
import tensorflow as tf

from tfrec_models.layers.base_crossnet import CrossNetBase, xavier_normal


@keras.saving.register_keras_serializable("tfrec_models")
class VectorCrossNet(CrossNetBase):
    """A cross network with a vector in each layer: the cheapest.

    The cross layer of the first DCN. As TorchRec computes it, and the paper too, the bias is
    outside the product:

        x_(l+1) = x_0 (w_l . x_l) + b_l + x_l

    Compiled with XLA.

    Paper: Wang et al., Deep & Cross Network for Ad Click Predictions,
    https://arxiv.org/abs/1708.05123.

    Args:
        in_features: int, N, the number of input columns.
        num_layers: int, the number of layers; 0 is the identity.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, in_features)`.

    Output shape:
        `(batch, in_features)`.

    Raises:
        ValueError: on in_features below 1 or num_layers below 0; at a call on another shape.

    Example:

    >>> import keras
    >>> from tfrec_models.layers import VectorCrossNet
    >>> VectorCrossNet(in_features=10, num_layers=3)(keras.ops.ones((3, 10))).shape
    TensorShape([3, 10])
    """

    def build(self, input_shape=None):
        if self.built:
            return
        size = self.in_features
        self.kernels = self.add_weights("kernel", (size, 1), xavier_normal(size, 1))
        self.biases = self.add_weights("bias", (size,))
        self.built = True

    def layer_weights(self):
        return self.kernels, self.biases

    @staticmethod
    def cross(inputs, kernels, biases):
        outputs = inputs
        for kernel, bias in zip(kernels, biases, strict=True):
            outputs = inputs * tf.matmul(outputs, kernel) + bias + outputs
        return outputs
