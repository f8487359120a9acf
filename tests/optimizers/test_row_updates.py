"""Every optimizer against its rule in NumPy, for each way a gradient can name rows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.row_updates import COLUMNS, IDS, OPTIMIZERS, ROWS, slices
from tfrec_models import optimizers


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_sparse_gradient_follows_the_rule(name, ids, dtype):
    """Sparse == the rule on the summed gradient; untouched rows do not change by a bit."""
    make, rule, settings = OPTIMIZERS[name]
    rng = np.random.default_rng(0)
    start = tf.cast(rng.normal(size=(ROWS, COLUMNS)), dtype)
    table = keras.Variable(start, name="embedding_table")
    optimizer = make()
    expected = rule(start.numpy().astype(np.float64), **settings)
    touched = set()
    for step in IDS[ids]:
        values = rng.normal(size=(len(step), COLUMNS)).astype(np.float32)
        gradient = slices(values, step, dtype)
        expected.step(gradient.values.numpy().astype(np.float64), step)
        optimizer.apply([gradient], [table])
        touched |= set(step)
        if dtype == "bfloat16":
            # A bfloat16 table is the float32 result rounded once, so the rule restarts from it.
            atol = np.abs(expected.w).max() * 2.0**-8
            got = table.value.numpy().astype(np.float64)
            np.testing.assert_allclose(got, expected.w, rtol=0, atol=atol)
            expected.w = got
        else:
            np.testing.assert_allclose(table.numpy(), expected.w, rtol=0, atol=1e-6)
    rest = [r for r in range(ROWS) if r not in touched]
    np.testing.assert_array_equal(
        table.value.numpy()[rest].astype(np.float32), start.numpy()[rest].astype(np.float32)
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_lookups_into_one_table(name):
    """The tape joins the gradients of two lookups; they are summed before the rule applies."""
    make, rule, settings = OPTIMIZERS[name]
    table = tf.Variable(np.random.default_rng(1).normal(size=(ROWS, COLUMNS)).astype(np.float32))
    expected = rule(table.numpy(), **settings)
    first, second = [0, 2, 2], [2, 6, 0]
    weights = np.random.default_rng(2).normal(size=(6, COLUMNS)).astype(np.float32)
    optimizer = make()
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(table, first) * weights[:3])
            loss += tf.reduce_sum(tf.gather(table, second) * weights[3:])
        optimizer.apply([tape.gradient(loss, table)], [table])
        expected.step(weights, first + second)
    np.testing.assert_allclose(table.numpy(), expected.w, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_dense_gradient_is_the_same_rule_on_all_rows(name, dtype):
    """A dense gradient gives what a sparse one that names all rows gives."""
    make, rule, settings = OPTIMIZERS[name]
    start = tf.cast(np.random.default_rng(3).normal(size=(ROWS, COLUMNS)), dtype)
    gradient = tf.cast(np.random.default_rng(4).normal(size=(ROWS, COLUMNS)), dtype)
    table = keras.Variable(start, dtype=dtype)
    expected = rule(start.numpy().astype(np.float64), **settings)
    optimizer = make()
    optimizer.apply([gradient], [table])
    expected.step(gradient.numpy().astype(np.float64), range(ROWS))
    atol = {"bfloat16": 2.0**-7, "float16": 2.0**-10}.get(dtype, 1e-6)
    np.testing.assert_allclose(table.value.numpy().astype(float), expected.w, rtol=0, atol=atol)
    slots = [v.dtype for v in optimizer.variables if "iteration" not in v.path][1:]
    assert set(slots) <= {"float64" if dtype == "float64" else "float32"}


@pytest.mark.parametrize(
    "name", ["adagrad", "momentum", "nesterov", "lazy_adam", "amsgrad", "ftrl"]
)
def test_dense_gradient_agrees_with_keras(name):
    """With Keras's defaults, dense gradients give what Keras's optimizer of the rule gives."""
    ours = OPTIMIZERS[name][0]()
    config = ours.get_config()
    config.pop("check_finite")
    theirs = getattr(keras.optimizers, type(ours).__name__.removeprefix("Lazy")).from_config(config)
    start = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)
    tables = [tf.Variable(start), tf.Variable(start)]
    for seed in range(3):
        gradient = tf.constant(np.random.default_rng(seed).normal(size=(4, 3)), tf.float32)
        for optimizer, table in zip([ours, theirs], tables, strict=True):
            optimizer.apply([gradient], [table])
    np.testing.assert_allclose(tables[0].numpy(), tables[1].numpy(), rtol=0, atol=5e-6)


@pytest.mark.parametrize("shape", [(), (4,), (4, 3), (4, 3, 2)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_variables_of_any_rank(name, shape):
    """Biases, scalars and kernels of more than two axes train too."""
    variable = keras.Variable(np.ones(shape, np.float32))
    optimizer = OPTIMIZERS[name][0]()
    optimizer.apply([tf.ones(shape)], [variable])
    assert (variable.numpy() < 1).all()


def test_row_wise_adagrad_on_a_vector_is_adagrad():
    """Each element of a vector is a row: the first step is the learning rate times the sign."""
    bias = tf.Variable([1.0, 1.0])
    optimizers.RowWiseAdagrad(learning_rate=0.25).apply([tf.constant([3.0, -0.5])], [bias])
    np.testing.assert_allclose(bias.numpy(), [0.75, 1.25], rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_retrace_and_nothing_as_large_as_the_table(name):
    """A second step with another number of ids runs the same trace, which has no table-sized op."""
    rows = 54321
    table = tf.Variable(tf.zeros((rows, 2)))
    optimizer = OPTIMIZERS[name][0]()
    optimizer.build([table])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def train(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(tf.gather(table, ids) - 1.0))
        optimizer.apply([tape.gradient(loss, table)], [table])

    train(tf.constant([1, 1, 2], tf.int64))
    train(tf.constant([5, 1], tf.int64))
    assert train.experimental_get_tracing_count() == 1
    graph = train.get_concrete_function().graph
    large = [
        op.name
        for op in graph.get_operations()
        if any(t.shape.rank and t.shape[0] == rows for t in op.outputs)
    ]
    assert large == []
