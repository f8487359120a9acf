"""Rates, settings and gradients at the edge, against NumPy, on both paths."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import numpy_rules
from tfrec_models import optimizers

SHAPE = (5, 3)
START = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
GRADIENT = np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32)
ROWS = [0, 3, 3]

# For each: the class, its settings, and the rule in NumPy with the same.
RULES = {
    "row_wise_adagrad": (optimizers.RowWiseAdagrad, {}, numpy_rules.RowWiseAdagrad, {}),
    "row_wise_adagrad_no_epsilon": (
        optimizers.RowWiseAdagrad,
        {"epsilon": 0.0, "initial_accumulator_value": 0.1},
        numpy_rules.RowWiseAdagrad,
        {"eps": 0.0, "initial": 0.1},
    ),
    "adagrad": (optimizers.Adagrad, {}, numpy_rules.Adagrad, {}),
    "adagrad_from_zero": (
        optimizers.Adagrad,
        {"initial_accumulator_value": 0.0},
        numpy_rules.Adagrad,
        {"initial": 0.0},
    ),
    "sgd": (optimizers.SGD, {}, numpy_rules.SGD, {}),
    "momentum": (optimizers.SGD, {"momentum": 0.9}, numpy_rules.SGD, {"momentum": 0.9}),
    "nesterov": (
        optimizers.SGD,
        {"momentum": 1.0, "nesterov": True},
        numpy_rules.SGD,
        {"momentum": 1.0, "nesterov": True},
    ),
    "lazy_adam": (optimizers.LazyAdam, {}, numpy_rules.LazyAdam, {}),
    "lazy_adam_betas_of_zero": (
        optimizers.LazyAdam,
        {"beta_1": 0.0, "beta_2": 0.0, "epsilon": 1e-30},
        numpy_rules.LazyAdam,
        {"b1": 0.0, "b2": 0.0, "eps": 1e-30},
    ),
    "amsgrad": (optimizers.LazyAdam, {"amsgrad": True}, numpy_rules.LazyAdam, {"amsgrad": True}),
    "ftrl": (optimizers.Ftrl, {}, numpy_rules.Ftrl, {}),
    "ftrl_regularized": (
        optimizers.Ftrl,
        {
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.05,
            "beta": 0.5,
        },
        numpy_rules.Ftrl,
        {"l1": 0.1, "l2": 0.2, "shrinkage": 0.05, "beta": 0.5},
    ),
    "ftrl_from_zero": (
        optimizers.Ftrl,
        {"initial_accumulator_value": 0.0},
        numpy_rules.Ftrl,
        {"initial": 0.0},
    ),
    "ftrl_cube_root_from_zero": (
        optimizers.Ftrl,
        {"initial_accumulator_value": 0.0, "learning_rate_power": -1 / 3},
        numpy_rules.Ftrl,
        {"initial": 0.0, "power": 1 / 3},
    ),
}

STEPS = {
    "a rate of 0 first": [(0.0, GRADIENT), (0.1, GRADIENT), (0.0, -GRADIENT), (0.1, GRADIENT)],
    "gradients of 0": [(0.1, 0 * GRADIENT), (0.1, GRADIENT), (0.1, 0 * GRADIENT)],
    "both": [(0.0, 0 * GRADIENT), (0.1, 0 * GRADIENT), (0.0, GRADIENT)],
}


def sparse(values):
    return tf.IndexedSlices(tf.convert_to_tensor(values), tf.constant(ROWS), tf.constant(SHAPE))


def dense(values):
    total = np.zeros(SHAPE, np.float32)
    np.add.at(total, ROWS, values)
    return tf.constant(total)


@pytest.mark.usefixtures("both_paths")
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", RULES)
def test_a_step_at_the_edge_is_the_rule_in_numpy(name, steps):
    """Rates and gradients of 0 leave finite weights, those of the rule in float64."""
    cls, settings, rule, same = RULES[name]
    table = keras.Variable(START, name="embedding_table")
    optimizer, expected = cls(learning_rate=0.1, **settings), rule(START, **same)
    step = tf.function(lambda values: optimizer.apply([sparse(values)], [table]))
    optimizer.build([table])
    for rate, gradient in STEPS[steps]:
        optimizer.learning_rate = expected.lr = rate
        step(gradient)
        expected.step(gradient, ROWS)
        np.testing.assert_allclose(table.numpy(), expected.w, rtol=0, atol=2e-6)


@pytest.mark.usefixtures("both_paths")
@pytest.mark.parametrize("name", RULES)
def test_a_gradient_whose_square_is_zero_in_float32(name):
    """Weights stay finite, in this step and the next."""
    cls, settings, *_ = RULES[name]
    table = keras.Variable(START, name="embedding_table")
    optimizer = cls(learning_rate=0.1, **settings)
    for values in (np.float32(1e-30) * GRADIENT, GRADIENT):
        optimizer.apply([sparse(values)], [table])
        assert np.isfinite(table.numpy()).all()


@pytest.mark.parametrize("name", RULES)
def test_a_dense_step_at_a_rate_of_zero(name):
    """Every element of a dense gradient's variable is finite and where it was."""
    cls, settings, *_ = RULES[name]
    kernel = keras.Variable(START, name="kernel")
    optimizer = cls(learning_rate=0.0, **settings)
    optimizer.apply([dense(GRADIENT)], [kernel])
    np.testing.assert_array_equal(kernel.numpy(), START)


def test_ftrl_takes_no_step_at_a_rate_of_zero():
    """Its state is what it would be had the step not been there."""
    tables = [keras.Variable(START), keras.Variable(START)]
    for table, rates in zip(tables, ([0.0, 0.1, 0.0, 0.1], [0.1, 0.1]), strict=True):
        optimizer = optimizers.Ftrl(learning_rate=1.0, beta=1.0, l1_regularization_strength=0.1)
        for rate in rates:
            optimizer.learning_rate = rate
            optimizer.apply([sparse(GRADIENT)], [table])
    np.testing.assert_array_equal(tables[0].numpy(), tables[1].numpy())


@pytest.mark.usefixtures("both_paths")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", RULES)
def test_a_gradient_that_is_not_finite_shows(name, bad):
    """It is in the weights it belongs to, as in NumPy, and in no other row."""
    cls, settings, rule, same = RULES[name]
    table = keras.Variable(START, name="embedding_table")
    optimizer, expected = cls(learning_rate=0.1, **settings), rule(START, **same)
    gradient = GRADIENT.copy()
    gradient[0, 1] = bad
    with np.errstate(all="ignore"):
        for values in (GRADIENT, gradient, GRADIENT):
            optimizer.apply([sparse(values)], [table])
            expected.step(values, ROWS)
    np.testing.assert_array_equal(np.isfinite(table.numpy()), np.isfinite(expected.w))
    for slot in optimizer.variables[2:]:
        assert np.isfinite(slot.numpy()[1:]).all()


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("name", RULES)
def test_l2_adds_to_the_gradient_of_touched_rows(name, in_graph):
    """The rule on g + l2 * w, once for a row however often it is named; other rows stay."""
    cls, settings, rule, same = RULES[name]
    table = keras.Variable(START, name="embedding_table")
    optimizer, expected = cls(learning_rate=0.1, l2=0.3, **settings), rule(START, **same)
    optimizer.build([table])
    apply = lambda values: optimizer.apply([sparse(values)], [table])  # noqa: E731
    step = tf.function(apply) if in_graph else apply
    for number in range(3):
        step(GRADIENT * (number + 1))
        total = numpy_rules.summed_rows(GRADIENT * (number + 1), ROWS)
        expected.step([g + 0.3 * expected.w[r] for r, g in total.items()], list(total))
    np.testing.assert_allclose(table.numpy(), expected.w, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(table.numpy()[[1, 2, 4]], START[[1, 2, 4]])


def test_l2_of_a_dense_gradient_is_that_of_a_regularizer():
    """keras.regularizers.L2(c) adds 2 * c * w to a gradient: l2 is 2 * c."""
    kernels = [keras.Variable(START), keras.Variable(START)]
    ours, keras_own = optimizers.SGD(0.1, l2=0.02), keras.optimizers.SGD(0.1)
    for _ in range(2):
        ours.apply([dense(GRADIENT)], [kernels[0]])
        with tf.GradientTape() as tape:
            penalty = keras.regularizers.L2(0.01)(kernels[1].value)
        gradient = dense(GRADIENT) + tape.gradient(penalty, kernels[1].value)
        keras_own.apply([gradient], [kernels[1]])
    np.testing.assert_allclose(kernels[0].numpy(), kernels[1].numpy(), atol=1e-6)


def test_l2_is_saved():
    """In the config, where it is set; files without it stay readable for older versions."""
    optimizer = optimizers.LazyAdam(l2=0.5)
    assert optimizers.LazyAdam.from_config(optimizer.get_config()).l2 == 0.5
    assert "l2" not in optimizers.LazyAdam().get_config()


@pytest.mark.parametrize("bad", [-0.1, float("nan")])
def test_l2_out_of_range(bad):
    """Negative or NaN."""
    with pytest.raises(ValueError, match="l2 must be zero or positive, received"):
        optimizers.SGD(l2=bad)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta_1": 1.0}, r"beta_1 must be 0 or above and below 1, received 1\.0"),
        ({"beta_2": 1.0}, r"beta_2 must be 0 or above and below 1, received 1\.0"),
        ({"beta_2": -0.1}, r"beta_2 must be 0 or above and below 1, received -0\.1"),
        ({"epsilon": 0.0}, r"epsilon must be positive in float32, received 0\.0"),
        ({"epsilon": 1e-46}, r"epsilon must be positive in float32, received 1e-46"),
    ],
)
def test_settings_of_adam_that_divide_by_zero(settings, message):
    """Each would make a NaN of a gradient of 0."""
    with pytest.raises(ValueError, match=message):
        optimizers.LazyAdam(**settings)


@pytest.mark.parametrize("cls", [optimizers.Adagrad, optimizers.RowWiseAdagrad])
def test_settings_of_adagrad_that_are_zero_in_float32(cls):
    """An epsilon that float32 does not have is none."""
    with pytest.raises(ValueError, match="must not both be 0 in float32, received 0.0 and 1e-50"):
        cls(epsilon=1e-50, initial_accumulator_value=0.0)
