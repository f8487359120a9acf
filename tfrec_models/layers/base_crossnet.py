"""Base class of the cross networks."""

import abc
import math

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_not_negative, check_positive, check_width
from tfrec_models.execution.compiled import Compiled


class CrossNetBase(keras.layers.Layer, abc.ABC):
    """What all cross networks share: `num_layers` layers of one width, compiled as one program.

    A subclass adds its weights in `build`, returns them by `layer_weights`, and computes in
    `cross`.

    Args:
        in_features: int, N, the number of input columns.
        num_layers: int, the number of layers; 0 is the identity.
        **kwargs: those of `keras.layers.Layer`.
    """

    def __init__(self, in_features, num_layers, **kwargs):
        super().__init__(**kwargs)
        in_features = check_positive("in_features", in_features)
        num_layers = check_not_negative("num_layers", num_layers)
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


def xavier_normal(fan_in, fan_out):
    """Returns PyTorch's Glorot normal initializer; Keras's cuts the tails off."""
    return keras.initializers.RandomNormal(stddev=math.sqrt(2 / (fan_in + fan_out)))
