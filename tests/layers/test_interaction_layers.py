"""Cross networks and factorization machines: starts, programs, shapes and errors."""

import keras
import pytest
import tensorflow as tf

from tfrec_models import layers

CROSS_NETS = {
    "crossnet": lambda: layers.CrossNet(5, 2),
    "low_rank": lambda: layers.LowRankCrossNet(5, 2, low_rank=2),
    "vector": lambda: layers.VectorCrossNet(5, 2),
    "mixture": lambda: layers.LowRankMixtureCrossNet(5, 2, num_experts=3, low_rank=2),
    "lone_expert": lambda: layers.LowRankMixtureCrossNet(5, 1, low_rank=2, activation="tanh"),
}


@pytest.mark.parametrize("name", ["crossnet", "low_rank", "vector", "mixture"])
def test_cross_layers_start_differently(name):
    """No two layers of a cross network start with the same weights."""
    net = CROSS_NETS[name]()
    net.build()
    first, second = net.layer_weights()[0]
    assert float(tf.reduce_max(tf.abs(first - second))) > 0.01


def test_a_cross_net_compiles_once_for_all_batch_sizes_it_has_met():
    """A smaller last batch traces once more, further sizes not at all."""
    net = layers.LowRankCrossNet(5, 2)
    before = net._program.trace_count
    for size in (4, 3, 2, 4, 1):
        net(tf.ones((size, 5)))
    assert net._program.trace_count <= before + 2


def test_symbolic_shapes():
    """Functional models know the output shapes."""
    inputs = keras.Input((5,))
    assert layers.CrossNet(5, 1)(inputs).shape == (None, 5)
    assert layers.FactorizationMachine()([inputs, inputs]).shape == (None, 1)
    assert layers.DeepFM(layers.MLP(10, [3]))([inputs, inputs]).shape == (None, 3)


WRONG = [
    (lambda: layers.CrossNet(0, 1), "in_features must be a positive integer, received 0"),
    (lambda: layers.CrossNet(3, -1), "num_layers must be an integer, 0 or above, received -1"),
    (lambda: layers.VectorCrossNet(3, 1.5), "num_layers .* received 1.5"),
    (lambda: layers.LowRankCrossNet(3, 1, low_rank=0), "low_rank must be a positive .* received 0"),
    (
        lambda: layers.LowRankMixtureCrossNet(3, 1, num_experts=0),
        "num_experts must be a positive integer, received 0",
    ),
    (
        lambda: layers.LowRankMixtureCrossNet(3, 1, low_rank=-2),
        "low_rank must be a positive integer, received -2",
    ),
    (
        lambda: layers.LowRankMixtureCrossNet(3, 1, activation="rellu"),
        "Unknown activation 'rellu'. Use a Keras activation",
    ),
    (
        lambda: layers.LowRankMixtureCrossNet(3, 1, activation="swish_layernorm"),
        "'swish_layernorm' has weights of a fixed width",
    ),
    (lambda: layers.CrossNet(3, 1)(tf.ones((2, 4))), "made for 3 input columns, received"),
    (lambda: layers.CrossNet(3, 1)(tf.ones((2, 2, 3))), r"shape \(batch, 3\), received"),
    (lambda: layers.FactorizationMachine()(tf.ones((2, 3))), "Put a single tensor in a list"),
    (lambda: layers.FactorizationMachine()([]), "at least one tensor, received an empty list"),
    (lambda: layers.FactorizationMachine()([tf.ones(3)]), r"\(batch, ...\), .* received shapes"),
    (
        lambda: layers.FactorizationMachine()([tf.ones((2, 3)), tf.ones((3, 3))]),
        "as many examples in every tensor",
    ),
    (lambda: layers.FieldFactorizationMachine()(tf.ones((2, 3))), r"\(batch, fields, dim\)"),
    (lambda: layers.DeepFM(layers.MLP(3, [2]))(tf.ones((2, 3))), "Put a single tensor in a list"),
]


@pytest.mark.parametrize(("act", "message"), WRONG)
def test_wrong_arguments_are_named(act, message):
    """Constructor and call say what was received, what was expected and what to do."""
    with pytest.raises(ValueError, match=message):
        act()


def test_deep_fm_needs_a_layer():
    """A function is no Keras layer."""
    with pytest.raises(TypeError, match="dense_module must be a Keras layer, such as MLP"):
        layers.DeepFM(lambda inputs: inputs)
