"""How many XLA programs batches of many sizes cost."""

import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import _processor
from tfrec_models._compat.tensorflow import in_xla
from tfrec_models.dlrm import InteractionArch
from tfrec_models.dlrm.interaction_arch import dot_interaction
from tfrec_models.execution import compiled
from tfrec_models.execution.compiled import MAX_BATCH_SIZES, Compiled


def says_whether_compiled(values):
    """Adds one where it is traced for XLA."""
    return values + tf.cast(1.0 if in_xla() else 0.0, values.dtype)


class Counter:
    """Runs a `Compiled` in a trace that leaves the batch size open."""

    def __init__(self):
        program = Compiled(says_whether_compiled)
        self.run = tf.function(program, input_signature=[tf.TensorSpec([None, 2])])

    def sizes_compiled(self, sizes):
        return [size for size in sizes if self.run(tf.zeros([size, 2])).numpy().max() == 1]


def test_the_first_sizes_of_a_trace_are_compiled():
    """Twenty sizes cost four programs, and the four go on being used."""
    counter = Counter()
    assert counter.sizes_compiled(range(1, 21)) == list(range(1, MAX_BATCH_SIZES + 1))
    assert counter.sizes_compiled([20, 3, 7, 1]) == [3, 1]


def test_sizes_belong_to_their_trace():
    """What one trace met does not count for another."""
    first, second = Counter(), Counter()
    first.sizes_compiled(range(1, 21))
    assert second.sizes_compiled([20, 19]) == [20, 19]


def test_eager_calls_are_bounded_too():
    """A layer called eagerly with many sizes."""
    program = Compiled(says_whether_compiled)
    before = program.trace_count
    outputs = [program(tf.zeros([size, 2])).numpy().max() for size in range(1, 21)]
    assert sum(outputs) <= MAX_BATCH_SIZES + 1
    assert program.trace_count <= before + 2


@pytest.mark.parametrize(
    ("dtype", "multiplies", "is_compiled"),
    [
        ("bfloat16", True, False),
        ("bfloat16", False, True),
        ("float16", True, True),
        ("float32", True, True),
    ],
)
def test_bfloat16_runs_where_it_is_multiplied(dtype, multiplies, is_compiled, monkeypatch):
    """XLA's code for processors would widen it; without products of it, XLA is the faster."""
    if tf.test.gpu_device_name():
        is_compiled = True
    monkeypatch.setattr(compiled, "multiplies_bfloat16", lambda: multiplies)
    output = Compiled(says_whether_compiled)(tf.zeros([3, 2], dtype))
    assert (np.max(output) == 1) == is_compiled
    assert output.dtype == dtype


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("avx512f avx512_bf16", True),
        ("avx512f amx_bf16 amx_tile", True),
        ("avx512f avx2", False),
        ("", False),
    ],
)
def test_processors_that_multiply_bfloat16(flags, expected, monkeypatch):
    """By the names that Linux gives the instructions; not where they are not known."""
    monkeypatch.setattr(_processor, "cpuinfo", lambda: [("flags", flags)] if flags else [])
    assert _processor.multiplies_bfloat16.__wrapped__() is expected


def test_layers_of_the_same_shapes_share_a_program():
    """What was compiled for one model serves the next; other widths have programs of their own."""
    program = Compiled(dot_interaction)
    rng = np.random.default_rng(3)

    def call(features, width):
        dense, sparse = rng.normal(size=(7, width)), rng.normal(size=(7, features, width))
        output = InteractionArch(features)(dense.astype("float32"), sparse.astype("float32"))
        vectors = np.concatenate([dense[:, None], sparse], 1)
        pairs = np.triu_indices(features + 1, 1)
        products = np.einsum("bnd,bmd->bnm", vectors, vectors)[:, pairs[0], pairs[1]]
        np.testing.assert_allclose(output, np.concatenate([dense, products], 1), atol=1e-5)
        return program.trace_count

    first = call(2, 6)
    assert call(2, 6) == first
    assert call(3, 6) == first + 1
    assert call(3, 5) == first + 2
    assert call(2, 6) == first + 2


def test_gradients_of_sizes_beyond_the_bound():
    """Compiled or not, the gradient is that of the formula, x^2 w: 2 x w and the sum of x^2."""
    program = Compiled(lambda values, weight: tf.square(values) * weight)

    @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([2])])
    def gradients(values, weight):
        with tf.GradientTape() as tape:
            tape.watch([values, weight])
            total = tf.reduce_sum(program(values, weight))
        return tape.gradient(total, [values, weight])

    weight = np.array([3.0, -1.0], "float32")
    for size in range(1, MAX_BATCH_SIZES + 4):
        values = np.arange(2.0 * size, dtype="float32").reshape(size, 2)
        by_values, by_weight = gradients(values, weight)
        np.testing.assert_allclose(by_values, 2 * values * weight, rtol=1e-6)
        np.testing.assert_allclose(by_weight, (values**2).sum(0), rtol=1e-6)


def test_check_numerics():
    """TensorFlow's own search for a NaN adds operations that XLA lacks: none are compiled then."""
    program = Compiled(says_whether_compiled)
    tf.debugging.enable_check_numerics()
    try:
        watched = tf.function(program)(tf.zeros([3, 2]))
    finally:
        tf.debugging.disable_check_numerics()
    assert watched.numpy().max() == 0
