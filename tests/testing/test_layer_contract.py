"""The layer contract passes a user's own layer, and finds each promise that a layer breaks."""

import unittest

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models.testing import LayerContract, TestCase

register = keras.saving.register_keras_serializable("tests")


@register
class Scale(keras.layers.Layer):
    """Multiplies each of three columns."""

    def build(self, input_shape=None):
        if not self.built:
            self.scale = self.add_weight(name="scale", shape=(3,), initializer="random_normal")
            self.built = True

    def call(self, inputs):
        return inputs * self.scale

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


@register
class BatchOfThree(Scale):
    def call(self, inputs):
        return tf.reshape(inputs * self.scale, [3, 3])


@register
class OtherShape(Scale):
    def compute_output_shape(self, input_shape):
        return (input_shape[0], 4)


@register
class NoShape(Scale):
    def compute_output_shape(self, input_shape):
        raise NotImplementedError


@register
class NoGradient(Scale):
    def call(self, inputs):
        return inputs * tf.stop_gradient(self.scale)


@register
class WrongGradient(Scale):
    def call(self, inputs):
        @tf.custom_gradient
        def scaled(inputs, scale):
            return inputs * scale, lambda upstream: (upstream, tf.reduce_sum(upstream, 0))

        return scaled(inputs, tf.convert_to_tensor(self.scale))


@register
class Noise(Scale):
    def call(self, inputs):
        return inputs * self.scale + tf.random.normal([], stddev=0.1)


@register
class NoiseInTraining(Scale):
    def call(self, inputs, training=None):
        return inputs * self.scale + (0.1 if training else 0.0)


@register
class BuiltTwice(Scale):
    def build(self, input_shape=None):
        self.scale = keras.Variable(np.ones(3), dtype=self.variable_dtype, name="scale")
        self.built = True


@register
class ForgetsItsConfig(Scale):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.scale * self.factor

    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "factor"}


@register
class ConfigOfArrays(Scale):
    def get_config(self):
        return {**super().get_config(), "name": np.ones(2)}


@register
class Float32Always(Scale):
    def call(self, inputs):
        return tf.cast(inputs, tf.float32) * tf.cast(self.scale, tf.float32)


@register
class EagerOnly(Scale):
    def call(self, inputs):
        return inputs * self.scale.numpy()


def contract(make):
    """The test class of a layer over three columns."""

    class Contract(LayerContract, TestCase):
        def make_layer(self):
            return make()

        def make_inputs(self, batch_size):
            return [tf.random.stateless_normal((batch_size, 3), [batch_size, 1])]

        def output_shapes(self, batch_size):
            return (batch_size, 3)

    return Contract


def test_a_layer_that_keeps_it_passes():
    """Every test of the contract, and nothing is skipped."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(contract(Scale)).run(result)
    assert result.testsRun == len(BROKEN)
    assert (result.failures, result.errors, result.skipped) == ([], [], [])


BROKEN = {
    "test_output_shapes": BatchOfThree,
    "test_unknown_batch_size": BatchOfThree,
    "test_computed_output_spec": OtherShape,
    "test_functional_model": NoShape,
    "test_gradients_reach_every_weight": NoGradient,
    "test_gradients_are_the_numeric_ones": WrongGradient,
    "test_same_when_run_again": Noise,
    "test_same_with_xla_as_without": Noise,
    "test_same_in_a_function": EagerOnly,
    "test_training_argument": NoiseInTraining,
    "test_build_of_a_built_layer": BuiltTwice,
    "test_config": ConfigOfArrays,
    "test_copy_by_config": lambda: ForgetsItsConfig(2.0),
    "test_keras_file": lambda: ForgetsItsConfig(2.0),
    "test_saved_model": EagerOnly,
    "test_mixed_bfloat16": Float32Always,
    "test_mixed_float16": Float32Always,
    "test_float64": Float32Always,
    "test_weights": lambda: keras.layers.Activation("relu"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_fails_its_test(name):
    """The test that is named after the promise fails."""
    result = unittest.TestResult()
    contract(BROKEN[name])(name).run(result)
    assert len(result.failures + result.errors) == 1


def test_every_promise_has_a_layer_that_breaks_it():
    """No test of the contract is without a case in which it fails."""
    assert set(unittest.defaultTestLoader.getTestCaseNames(contract(Scale))) == set(BROKEN)
