"""Cross networks: products of the input with itself, of one degree more in each layer."""

import abc
import math

import keras
import tensorflow as tf

from tfrec_models.layers._arguments import check_not_negative, check_positive, check_width
from tfrec_models.layers.xla import Compiled


class CrossNetBase(keras.layers.Layer, abc.ABC):
    """What all cross networks share: `num_layers` layers of one width, compiled as one program.

    A subclass adds its weights in `build`, hands them out in `layer_weights`, and computes in
    `cross`.

    Args:
        in_features: int, N, the number of input columns.
        num_layers: int, the number of layers; 0 is the identity.
        **kwargs: those of `keras.layers.Layer`.
    """

    def __init__(self, in_features, num_layers, **kwargs):
        super().__init__(**kwargs)
        check_positive("in_features", in_features)
        check_not_negative("num_layers", num_layers)
        self.in_features, self.num_layers = in_features, num_layers
        self._program = Compiled(self.cross)

    @abc.abstractmethod
    def layer_weights(self):
        """Returns lists of weights, one list per kind, one weight per layer."""

    @abc.abstractmethod
    def cross(self, inputs, *weights):
        """Returns the output for `inputs` (B, N) and the `layer_weights` as tensors."""

    def call(self, inputs):
        check_width(self, inputs, self.in_features)
        if len(inputs.shape) != 2:
            raise ValueError(
                f"{type(self).__name__} takes inputs of shape (batch, {self.in_features}), "
                f"received {tuple(inputs.shape)}."
            )
        if not self.num_layers:
            return inputs
        tensors = [
            [tf.convert_to_tensor(weight) for weight in weights] for weights in self.layer_weights()
        ]
        return self._program(inputs, *tensors)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def add_weights(self, name, shape, initializer="zeros"):
        """Returns one weight per layer, called `name_0`, `name_1` .."""
        initializer = keras.initializers.get(initializer)
        # An initializer draws the same numbers whenever it is called; its clone draws others.
        return [
            self.add_weight(name=f"{name}_{layer}", shape=shape, initializer=initializer.clone())
            for layer in range(self.num_layers)
        ]

    def get_config(self):
        return {
            **super().get_config(),
            "in_features": self.in_features,
            "num_layers": self.num_layers,
        }


@keras.saving.register_keras_serializable("tfrec_models")
class CrossNet(CrossNetBase):
    """A cross network with a full matrix in each layer.

    The cross layer of DCN V2. Each layer multiplies the input with a linear map of the layer
    before it, column by column:

        x_(l+1) = x_0 * (K_l x_l + b_l) + x_l

    Matrices start Glorot normal, biases zero. N x N weights per layer: `LowRankCrossNet` takes
    fewer. Compiled with XLA.

    Paper: Wang et al., DCN V2: Improved Deep & Cross Network, https://arxiv.org/abs/2008.13535.

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
    >>> from tfrec_models.layers import CrossNet
    >>> CrossNet(in_features=10, num_layers=3)(keras.ops.ones((3, 10))).shape
    TensorShape([3, 10])
    """

    def build(self, input_shape=None):
        size = self.in_features
        self.kernels = self.add_weights("kernel", (size, size), xavier_normal(size, size))
        self.biases = self.add_weights("bias", (size,))
        self.built = True

    def layer_weights(self):
        return self.kernels, self.biases

    def cross(self, inputs, kernels, biases):
        outputs = inputs
        for kernel, bias in zip(kernels, biases, strict=True):
            outputs = inputs * (tf.matmul(outputs, kernel) + bias) + outputs
        return outputs


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

    def __init__(self, in_features, num_layers, low_rank=1, **kwargs):
        super().__init__(in_features, num_layers, **kwargs)
        check_positive("low_rank", low_rank)
        self.low_rank = low_rank

    def build(self, input_shape=None):
        size, rank = self.in_features, self.low_rank
        self.v_kernels = self.add_weights("v_kernel", (size, rank), xavier_normal(size, rank))
        self.w_kernels = self.add_weights("w_kernel", (rank, size), xavier_normal(size, rank))
        self.biases = self.add_weights("bias", (size,))
        self.built = True

    def layer_weights(self):
        return self.v_kernels, self.w_kernels, self.biases

    def cross(self, inputs, v_kernels, w_kernels, biases):
        outputs = inputs
        for v_kernel, w_kernel, bias in zip(v_kernels, w_kernels, biases, strict=True):
            mapped = tf.matmul(tf.matmul(outputs, v_kernel), w_kernel)
            outputs = inputs * (mapped + bias) + outputs
        return outputs

    def get_config(self):
        return {**super().get_config(), "low_rank": self.low_rank}


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
        size = self.in_features
        self.kernels = self.add_weights("kernel", (size, 1), xavier_normal(size, 1))
        self.biases = self.add_weights("bias", (size,))
        self.built = True

    def layer_weights(self):
        return self.kernels, self.biases

    def cross(self, inputs, kernels, biases):
        outputs = inputs
        for kernel, bias in zip(kernels, biases, strict=True):
            outputs = inputs * tf.matmul(outputs, kernel) + bias + outputs
        return outputs


def xavier_normal(fan_in, fan_out):
    """Returns PyTorch's Glorot normal initializer; Keras's cuts the tails off."""
    return keras.initializers.RandomNormal(stddev=math.sqrt(2 / (fan_in + fan_out)))
