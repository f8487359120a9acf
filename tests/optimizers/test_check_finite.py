"""`check_finite` speaks for the whole step: every part of it, and everything it would write."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import optimizers

SHAPE = (5, 3)


def rows(**settings):
    return optimizers.RowWiseAdagrad(0.1, check_finite=True, **settings)


# Each way a check is asked for, and the optimizers around and beside it.
OPTIMIZERS = {
    "alone": rows,
    "clipped": lambda: rows(clipnorm=1.0),
    "clipped_globally": lambda: rows(global_clipnorm=1.0),
    "beside_adam": lambda: optimizers.CompositeOptimizer(rows(), keras.optimizers.Adam(0.1)),
    "beside_clipped_adam": lambda: optimizers.CompositeOptimizer(
        rows(), keras.optimizers.Adam(0.1, global_clipnorm=1.0)
    ),
    "beside_accumulation": lambda: optimizers.CompositeOptimizer(
        rows(), keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    ),
    "in_the_dense_part": lambda: optimizers.CompositeOptimizer(
        optimizers.SGD(0.1, momentum=0.5), optimizers.LazyAdam(0.1, check_finite=True)
    ),
    "beside_keras_tables": lambda: optimizers.CompositeOptimizer(
        keras.optimizers.SGD(0.1), optimizers.Adagrad(0.1, check_finite=True)
    ),
    "scaled": lambda: optimizers.CompositeOptimizer(
        rows(), keras.optimizers.Adam(0.1), loss_scale_factor=4.0
    ),
    "nested": lambda: optimizers.CompositeOptimizer(
        optimizers.CompositeOptimizer(rows(), "sgd", embedding_names="embedding_table_0"),
        keras.optimizers.Adam(0.1),
    ),
}


def variables():
    tables = [
        keras.Variable(np.ones(SHAPE, np.float32), name=f"embedding_table_{i}") for i in range(2)
    ]
    return [*tables, keras.Variable(np.ones(3, np.float32), name="kernel")]


def gradients(bad_one, bad=np.nan):
    """Of two tables and a kernel, one of which has a bad number."""
    values = [np.ones((2, 3), np.float32) for _ in range(2)] + [np.ones(3, np.float32)]
    if bad_one is not None:
        values[bad_one].flat[1] = bad
    sparse = [
        tf.IndexedSlices(tf.constant(v), tf.constant([1, 3]), tf.constant(SHAPE))
        for v in values[:2]
    ]
    return [*sparse, tf.constant(values[2])]


def numbers(model_variables, optimizer):
    return [v.numpy() for v in (*model_variables, *optimizer.variables)]


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("bad_one", [0, 1, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nothing_of_the_step_is_done(name, bad_one, in_graph):
    """Whichever gradient is bad, no weight, slot or counter of any part changes."""
    model_variables, optimizer = variables(), OPTIMIZERS[name]()
    optimizer.build(model_variables)

    def apply(bad):
        optimizer.apply(gradients(bad), model_variables)

    step = tf.function(apply) if in_graph else apply
    step(None)
    before = numbers(model_variables, optimizer)
    label = ["embedding_table_0", "embedding_table_1", "kernel"][bad_one]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"'{label}.*not finite; no weight"):
        step(bad_one)
    for old, new in zip(before, numbers(model_variables, optimizer), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("inner", ["alone", "beside_adam", "in_the_dense_part"])
def test_a_dynamic_scale_still_passes_over_infinities(inner):
    """LossScaleOptimizer looks first: the step is left out, and nothing is raised."""
    model_variables = variables()
    optimizer = optimizers.LossScaleOptimizer(OPTIMIZERS[inner](), initial_scale=8.0)
    optimizer.build(model_variables)
    step = tf.function(lambda: optimizer.apply(gradients(2, np.inf), model_variables))
    before = [v.numpy() for v in model_variables]
    step()
    for old, variable in zip(before, model_variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)
    assert float(optimizer.dynamic_scale.numpy()) == 4.0


@pytest.mark.parametrize("bad_replica", [0, 1])
@pytest.mark.parametrize("bad_one", [0, 2])
@pytest.mark.parametrize("name", ["alone", "beside_adam", "in_the_dense_part"])
def test_one_bad_replica_stops_all(name, bad_one, bad_replica, two_devices):
    """No replica's copy of any variable changes when one gradient on one replica is bad."""
    with two_devices.scope():
        model_variables, optimizer = variables(), OPTIMIZERS[name]()
        optimizer.build(model_variables)

    @tf.function
    def step():
        def replica():
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            bad = tf.where(tf.equal(number, bad_replica), np.float32(np.nan), 1.0)
            good = gradients(None)
            worse = good[bad_one]
            if isinstance(worse, tf.IndexedSlices):
                worse = tf.IndexedSlices(worse.values * bad, worse.indices, worse.dense_shape)
            else:
                worse = worse * bad
            optimizer.apply(good[:bad_one] + [worse] + good[bad_one + 1 :], model_variables)

        two_devices.run(replica)

    def copies():
        values = [v.value for v in (*model_variables, *optimizer.variables)]
        return [
            copy.numpy()
            for value in values
            for copy in two_devices.experimental_local_results(value)
        ]

    before = copies()
    with pytest.raises(tf.errors.InvalidArgumentError, match="not finite; no weight"):
        step()
    for old, new in zip(before, copies(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_what_one_part_refuses_the_other_has_not_done():
    """A gradient of the wrong shape for the dense part stops the tables too."""
    model_variables = variables()
    optimizer = optimizers.CompositeOptimizer(optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    optimizer.build(model_variables)
    bad = [*gradients(None)[:2], tf.ones(4)]
    with pytest.raises(ValueError, match=r"'kernel' has shape \(4,\), expected \(3,\)"):
        optimizer.apply(bad, model_variables)
    np.testing.assert_array_equal(model_variables[0].numpy(), 1.0)
