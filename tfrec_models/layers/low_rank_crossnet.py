"""Cross network with low-rank matrices."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_positive
from tfrec_models.layers.base_crossnet import CrossNetBase, xavier_normal


@keras.saving.register_keras_serializable("tfrec_models")
class LowRankCrossNet(CrossNetBase):
    """A cross network whose matrices are products of two thin ones.

    Each layer has 2 N r weights in place of the N x N of `CrossNet`:

        x_(l+1) = x_0 * (W_l (V_l x_l) + b_l) + x_l,  V_l of r x N, W_l of N x r

    It is what DLRM_DCN interacts with. Compiled with XLA.

    Paper: Wang et al., DCN V2: Improved Deep & Cross Network, https://arxiv.org/abs/2008.13535.

    Args:
        in_features: int, N, the number of input columns.
        num_layers: int, the number of layers; 0 is the identity.
        low_rank: int, r, the rank of the matrices.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, in_features)`.

    Output shape:
        `(batch, in_features)`.

    Raises:
        ValueError: on in_features or low_rank below 1, or num_layers below 0; at a call on another
            shape.

    Example:

    >>> import keras
    >>> from tfrec_models.layers import LowRankCrossNet
    >>> LowRankCrossNet(in_features=10, num_layers=3, low_rank=2)(keras.ops.ones((3, 10))).shape
    TensorShape([3, 10])
    """

    def __init__(self, in_features: int, num_layers: int, low_rank: int = 1, **kwargs: Any) -> None:
        super().__init__(in_features, num_layers, **kwargs)
        low_rank = check_positive("low_rank", low_rank)
        self.low_rank = low_rank

    def build(self, input_shape=None):
        if self.built:
            return
        size, rank = self.in_features, self.low_rank
        self.v_kernels = self.add_weights("v_kernel", (size, rank), xavier_normal(size, rank))
        self.w_kernels = self.add_weights("w_kernel", (rank, size), xavier_normal(size, rank))
        self.biases = self.add_weights("bias", (size,))
        self.built = True

    def layer_weights(self):
        return self.v_kernels, self.w_kernels, self.biases

    @staticmethod
    def cross(inputs, v_kernels, w_kernels, biases):
        outputs = inputs
        for v_kernel, w_kernel, bias in zip(v_kernels, w_kernels, biases, strict=True):
            mapped = tf.matmul(tf.matmul(outputs, v_kernel), w_kernel)
            outputs = inputs * (mapped + bias) + outputs
        return outputs

    def get_config(self):
        return {**super().get_config(), "low_rank": self.low_rank}
