"""What every Keras optimizer offers (clipping, decay, averages, scaling), on rows only."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import optimizers

SHAPE = (6, 2)
IDS = [[1, 1, 4], [4, 0, 4], [0, 0, 0]]
VALUES = np.random.default_rng(0).normal(size=(3, 3, 2)).astype(np.float32)


def sparse(step):
    return tf.IndexedSlices(tf.constant(VALUES[step]), tf.constant(IDS[step]), tf.constant(SHAPE))


def summed(step):
    total = np.zeros(SHAPE)
    np.add.at(total, IDS[step], VALUES[step])
    return total


def train(optimizer, steps=3, start=1.0):
    table = keras.Variable(np.full(SHAPE, start, np.float32), name="embedding_table")
    for step in range(steps):
        optimizer.apply([sparse(step)], [table])
    return table


@pytest.mark.parametrize(
    ("setting", "clip"),
    [
        ({"clipvalue": 0.3}, lambda g: np.clip(g, -0.3, 0.3)),
        ({"clipnorm": 0.5}, lambda g: g * min(1, 0.5 / np.linalg.norm(g))),
        ({"global_clipnorm": 0.5}, lambda g: g * min(1, 0.5 / np.linalg.norm(g))),
    ],
)
def test_clipping_acts_on_summed_rows(setting, clip):
    """Clipping sees each row's sum, as it would in the dense gradient."""
    table = train(optimizers.SGD(learning_rate=0.1, **setting))
    expected = 1.0 - sum(0.1 * clip(summed(step)) for step in range(3))
    np.testing.assert_allclose(table.numpy(), expected, atol=1e-6)


def test_global_norm_counts_sparse_and_dense_gradients():
    """One norm over tables and dense variables together."""
    table, bias = tf.Variable(tf.zeros(SHAPE)), tf.Variable([0.0, 0.0])
    optimizer = optimizers.SGD(learning_rate=1.0, global_clipnorm=1.0)
    twice = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([3, 3]), tf.constant(SHAPE))
    optimizer.apply([twice, tf.constant([1.0, 0.0])], [table, bias])
    # The norm is sqrt(2^2 + 2^2 + 1) = 3.
    np.testing.assert_allclose(table.numpy()[3], [-2 / 3, -2 / 3], rtol=1e-6)
    np.testing.assert_allclose(bias.numpy(), [-1 / 3, 0.0], rtol=1e-6)


def test_weight_decay_acts_on_touched_rows_only():
    """Decoupled decay, w -= rate * decay * w, before the update, for rows with a gradient."""
    optimizer = optimizers.SGD(learning_rate=0.1, weight_decay=0.5)
    table = train(optimizer)
    expected = np.ones(SHAPE)
    for step in range(3):
        rows = np.unique(IDS[step])
        expected[rows] *= 1 - 0.1 * 0.5
        expected -= 0.1 * summed(step)
    np.testing.assert_allclose(table.numpy(), expected, atol=1e-6)


def test_weight_decay_of_dense_variables_is_keras():
    """Dense variables decay as in Keras, and exclusions hold."""
    weights = [np.ones((2, 2), np.float32), np.ones(2, np.float32)]
    results = []
    for cls in (optimizers.LazyAdam, keras.optimizers.Adam):
        kernel, bias = (
            tf.Variable(w, name=n) for w, n in zip(weights, ["kernel", "bias"], strict=True)
        )
        optimizer = cls(learning_rate=0.1, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        for _ in range(2):
            optimizer.apply([tf.ones((2, 2)), tf.ones(2)], [kernel, bias])
        results.append([kernel.numpy(), bias.numpy()])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=5e-6)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_average_is_exactly_the_dense_one(dtype):
    """use_ema averages every row as if it had been visited at each step."""
    momentum = 0.8
    optimizer = optimizers.SGD(learning_rate=0.125, use_ema=True, ema_momentum=momentum)
    table = keras.Variable(np.ones(SHAPE, np.float32), dtype=dtype)
    never = keras.Variable(np.full((3,), 2.0, np.float32))
    average = None
    for step in [0, 1, 2, 2, 0]:
        gradient = sparse(step)
        optimizer.apply([gradient, None], [table, never])
        weights = table.value.numpy().astype(np.float64)
        average = weights if average is None else momentum * average + (1 - momentum) * weights
    optimizer.finalize_variable_values([table, never])
    atol = 1e-6 if dtype == "float32" else 2.0**-7
    np.testing.assert_allclose(table.value.numpy().astype(float), average, atol=atol)
    np.testing.assert_array_equal(never.numpy(), 2.0)
    # Training goes on from the average.
    optimizer.apply([sparse(1), None], [table, never])
    weights = table.value.numpy().astype(np.float64)
    average = momentum * average + (1 - momentum) * weights
    optimizer.finalize_variable_values([table, never])
    np.testing.assert_allclose(table.value.numpy().astype(float), average, atol=2 * atol)


def test_average_of_dense_variables_is_keras():
    """With dense gradients the final weights are those Keras's averages give."""
    results = []
    for cls in (optimizers.SGD, keras.optimizers.SGD):
        variable, scalar = tf.Variable(np.ones(SHAPE, np.float32)), tf.Variable(1.0)
        optimizer = cls(learning_rate=0.1, use_ema=True, ema_momentum=0.7)
        for step in range(3):
            gradient = tf.constant(summed(step), tf.float32)
            optimizer.apply([gradient, gradient[0, 0]], [variable, scalar])
        optimizer.finalize_variable_values([variable, scalar])
        results.append([variable.numpy(), scalar.numpy()])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_fixed_loss_scale_reaches_sparse_gradients():
    """loss_scale_factor multiplies the loss and divides the rows' gradients."""
    optimizer = optimizers.Adagrad(learning_rate=0.1, loss_scale_factor=4.0)
    assert float(optimizer.scale_loss(2.0)) == 8.0
    table = keras.Variable(np.ones(SHAPE, np.float32))
    scaled = tf.IndexedSlices(4.0 * sparse(0).values, sparse(0).indices, sparse(0).dense_shape)
    optimizer.apply([scaled], [table])
    np.testing.assert_allclose(
        table.numpy(), train(optimizers.Adagrad(learning_rate=0.1), 1).numpy(), atol=1e-6
    )


def test_learning_rate_schedule():
    """A schedule is read at each step."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [1.0, 0.5, 0.25])
    table = train(optimizers.SGD(learning_rate=schedule))
    expected = 1.0 - summed(0) - 0.5 * summed(1) - 0.25 * summed(2)
    np.testing.assert_allclose(table.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.RowWiseAdagrad(learning_rate=0.5, epsilon=0.1, check_finite=True),
        lambda: optimizers.Adagrad(clipnorm=1.0, weight_decay=0.1),
        lambda: optimizers.SGD(momentum=0.5, nesterov=True, use_ema=True),
        lambda: optimizers.LazyAdam(amsgrad=True, beta_1=0.5),
        lambda: optimizers.Ftrl(beta=1.0, learning_rate_power=-0.25),
    ],
)
def test_config_and_state_round_trip(make):
    """from_config(get_config) with the same state takes the same next step."""
    first = make()
    config = keras.saving.serialize_keras_object(first)
    assert config["registered_name"].startswith("tfrec_models>")
    second = keras.saving.deserialize_keras_object(config)
    assert second.get_config() == first.get_config()
    table = train(first, 2)
    other = keras.Variable(table.numpy())
    second.build([other])
    second.set_weights([v.numpy() for v in first.variables])
    for optimizer, variable in ((first, table), (second, other)):
        optimizer.apply([sparse(2)], [variable])
    np.testing.assert_array_equal(table.numpy(), other.numpy())
