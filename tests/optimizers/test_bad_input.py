"""Mistakes are refused in words, before anything is changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import optimizers

ALL = [
    optimizers.RowWiseAdagrad,
    optimizers.Adagrad,
    optimizers.SGD,
    optimizers.LazyAdam,
    optimizers.Ftrl,
]


def rows(values, ids=(1,), shape=(4, 2)):
    return tf.IndexedSlices(tf.constant(values), tf.constant(ids), tf.constant(shape))


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("cls", ALL)
def test_check_finite_names_the_variable_and_writes_nothing(cls, bad, in_graph):
    """With the switch on, one bad gradient stops the whole step."""
    table = tf.Variable(tf.ones((4, 2)), name="embedding_table_ads")
    good = tf.Variable(tf.ones(2), name="bias")
    optimizer = cls(check_finite=True)
    optimizer.build([good, table])
    step = tf.function(optimizer.apply) if in_graph else optimizer.apply
    state = [v.numpy() for v in optimizer.variables]
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="embedding_table_ads.*not finite; no weight"
    ):
        step([tf.ones(2), rows([[1.0, bad]])], [good, table])
    np.testing.assert_array_equal(table.numpy(), 1.0)
    np.testing.assert_array_equal(good.numpy(), 1.0)
    for variable, before in zip(optimizer.variables, state, strict=True):
        np.testing.assert_array_equal(variable.numpy(), before)


@pytest.mark.parametrize("cls", ALL)
def test_unknown_hyper_parameters(cls):
    """PyTorch's names are translated in the message."""
    with pytest.raises(
        ValueError,
        match=rf"{cls.__name__} received unknown arguments \['lr'\]. 'lr' is learning_rate here. "
        r"It takes \['learning_rate'.*'clipnorm'",
    ):
        cls(lr=0.1)


@pytest.mark.parametrize("cls", ALL)
def test_settings_that_walk_whole_tables(cls):
    """Gradient accumulation and overwriting averages are refused with a remedy."""
    with pytest.raises(ValueError, match="gradient_accumulation_steps=4.*CompositeOptimizer"):
        cls(gradient_accumulation_steps=4)
    with pytest.raises(ValueError, match="ema_overwrite_frequency=2.*finalize_variable_values"):
        cls(use_ema=True, ema_overwrite_frequency=2)


def test_a_constraint_on_a_table_is_refused():
    """A constraint would be evaluated on all rows."""
    table = keras.Variable(np.ones((4, 2)), name="embedding_table")
    table.constraint = keras.constraints.NonNeg()
    with pytest.raises(ValueError, match="'embedding_table' has a constraint"):
        optimizers.SGD().apply([rows([[1.0, 1.0]])], [table])


def test_wrong_variables_and_gradients():
    """Lists that do not pair up, strangers, doubles, and wrong shapes."""
    table = tf.Variable(tf.ones((4, 2)), name="table")
    other = tf.Variable(tf.ones((4, 2)), name="other")
    optimizer = optimizers.RowWiseAdagrad()
    gradient = rows([[1.0, 1.0]])
    with pytest.raises(ValueError, match="gradients without variables before the optimizer"):
        optimizer.apply([gradient])
    with pytest.raises(ValueError, match="'table:0' is in the list twice"):
        optimizer.build([table, table])
    with pytest.raises(ValueError, match="received 1 gradients for 2 variables"):
        optimizer.apply([gradient], [table, other])
    optimizer.build([table])
    with pytest.raises(ValueError, match="'other:0' is not one of those"):
        optimizer.apply([gradient], [other])
    with pytest.raises(ValueError, match=r"rows of shape \(1, 3\), expected \(None, 2\)"):
        optimizer.apply([rows([[1.0, 1.0, 1.0]])], [table])
    with pytest.raises(ValueError, match=r"'table:0' has shape \(3, 2\), expected \(4, 2\)"):
        optimizer.apply([tf.ones((3, 2))], [table])
    np.testing.assert_array_equal(table.numpy(), 1.0)
    optimizer.apply([], [])


def test_state_of_another_table_is_refused_before_anything_changes(tmp_path):
    """Shapes are all checked before the first is written."""
    optimizer = optimizers.LazyAdam()
    optimizer.build([tf.Variable(tf.ones((4, 2))), tf.Variable(tf.ones(3))])
    larger = optimizers.LazyAdam()
    larger.build([tf.Variable(tf.ones((4, 2))), tf.Variable(tf.ones(5))])
    state = [v.numpy() + 1 for v in larger.variables]
    store = {str(i): value for i, value in enumerate(state)}
    with pytest.raises(ValueError, match=r"has shape \(5,\), expected \(3,\).*Nothing was loaded"):
        optimizer.set_weights(state)
    with pytest.warns(UserWarning, match=r"has shape \(3,\), in the file \(5,\)"):
        optimizer.load_own_variables(store)
    with pytest.raises(ValueError, match="a state of 3 arrays, expected 6"):
        optimizer.set_weights(state[:3])
    assert int(optimizer.iterations) == 0
    for variable in optimizer.variables[2:]:
        np.testing.assert_array_equal(variable.numpy(), 0.0)


def test_settings_out_of_range():
    """Where 0 / 0 would make a NaN, or a sign is wrong."""
    for cls in (optimizers.RowWiseAdagrad, optimizers.Adagrad):
        with pytest.raises(ValueError, match=r"epsilon must be zero or positive, received -1\.0"):
            cls(epsilon=-1.0)
        with pytest.raises(ValueError, match="initial_accumulator_value must be zero or positive"):
            cls(initial_accumulator_value=-0.1)
        with pytest.raises(ValueError, match="must not both be 0"):
            cls(initial_accumulator_value=0.0, epsilon=0.0)
