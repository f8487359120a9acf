"""NaN through activations, and functions of the user's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models.layers import Perceptron
from tfrec_models.layers.activation import KEEP_NAN


@pytest.mark.parametrize("activation", KEEP_NAN, ids=lambda function: function.__name__)
def test_those_that_need_no_guard_keep_nan(activation):
    """As this version of Keras and TensorFlow has them."""
    outputs = activation(tf.constant([[1.0, np.nan]]))
    assert np.isnan(np.asarray(outputs)).any()


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (lambda x: keras.activations.glu(x), (2, 8)),
        (lambda x: tf.reduce_max(x, axis=-1, keepdims=True), (2, 1)),
        (lambda x: keras.activations.relu(x, threshold=1.0), (2, 16)),
    ],
)
def test_functions_of_another_width(activation, expected):
    """The output has the function's shape, in a graph too."""
    layer = Perceptron(3, 16, activation=activation)
    inputs = np.ones((2, 3), np.float32)
    assert layer(inputs).shape == expected
    spec = tf.TensorSpec([None, 3])
    assert tf.function(layer, input_signature=[spec])(inputs).shape == expected
