"""The native interaction equals the stock one: products, gradients and gradients of these."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.data import dataset
from tests.support.models import compiled, make_dlrm
from tfrec_models.dlrm.interaction_arch import InteractionArch, dot_interaction
from tfrec_models.execution import Execution, changed, using
from tfrec_models.native.pair_products import pair_products

pytestmark = pytest.mark.usefixtures("kernels")


def vectors(batch, num_sparse, dim, dtype="float32"):
    rng = np.random.default_rng(dim)
    shapes = (
        (batch, dim),
        (batch, num_sparse, dim),
        (batch, dim + num_sparse * (num_sparse + 1) // 2),
    )
    return [tf.cast(rng.normal(size=shape), dtype) for shape in shapes]


def gradients(function, dense, sparse, upstream):
    with tf.GradientTape() as tape:
        tape.watch([dense, sparse])
        products = function(dense, sparse)
    return [products, *tape.gradient(products, [dense, sparse], upstream)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("batch", "num_sparse", "dim"),
    [
        (5, 26, 64),
        (3, 1, 1),
        (1, 2, 67),
        (0, 3, 4),
        (700, 4, 16),
        # As many vectors as are multiplied at once, one fewer and one more; whole blocks of numbers
        # and a rest.
        (2, 6, 128),
        (2, 7, 80),
        (2, 8, 15),
        (2, 9, 17),
        (2, 15, 48),
        (2, 16, 33),
        (2, 40, 10),
    ],
)
def test_equals_the_stock_interaction(batch, num_sparse, dim, dtype):
    """Products and gradients, of vectors wider and narrower than registers."""
    given = vectors(batch, num_sparse, dim, dtype)
    exact = [tf.cast(tensor, tf.float64) for tensor in given]
    with using(Execution(portable=True)):
        expected = gradients(dot_interaction, *exact)
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    for found, wanted in zip(gradients(pair_products, *given), expected, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(
            tf.cast(found, tf.float64), wanted, rtol=tolerance, atol=tolerance * dim**0.5
        )


def test_rounds_as_casts_do():
    """Sums of bfloat16 that lie half way between two, are too large, or are no numbers."""
    big = float(tf.bfloat16.max)
    pairs = [
        (1.0, 2.0**-8),
        (1.0 + 2.0**-7, 2.0**-8),
        (-1.0, -(2.0**-8)),
        (1.0, 2.0**-8 + 2.0**-15),
        (big, big),
        (np.inf, -np.inf),
        (np.nan, 1.0),
        (-0.0, -0.0),
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        sums = tf.cast(tf.cast(np.float32(pairs).sum(axis=1), tf.bfloat16), tf.float32)
    dense = tf.constant(pairs, tf.bfloat16)
    products = pair_products(dense, tf.ones([len(pairs), 1, 2], tf.bfloat16))
    np.testing.assert_array_equal(tf.cast(products[:, 2], tf.float32), sums)
    # The gradient of a vector whose products with two others, the pairs, have the gradient 1.
    first, second = tf.constant(np.tile(np.transpose(pairs), 2), tf.bfloat16)
    dense, sparse = first[tf.newaxis], tf.stack([tf.ones_like(second), second])[tf.newaxis]
    upstream = tf.constant([[0.0] * len(first) + [1.0, 0.0, 1.0]], tf.bfloat16)
    found = gradients(pair_products, dense, sparse, upstream)[2][0, 0]
    np.testing.assert_array_equal(tf.cast(found, tf.float32), np.tile(sums, 2))


def test_second_gradients():
    """They are those of the stock operations, as a gradient penalty takes."""
    dense, sparse, _ = vectors(3, 2, 4)
    found = []
    for function in (pair_products, dot_interaction):
        with tf.GradientTape() as outer:
            outer.watch([dense, sparse])
            with tf.GradientTape() as inner:
                inner.watch([dense, sparse])
                total = tf.reduce_sum(tf.square(function(dense, sparse)))
            penalty = sum(map(tf.nn.l2_loss, inner.gradient(total, [dense, sparse])))
        found.append(outer.gradient(penalty, [dense, sparse]))
    for ours, stock in zip(*found, strict=True):
        np.testing.assert_allclose(ours, stock, rtol=1e-4)


def test_bad_shapes_are_refused():
    """The kernel itself reads nothing outside its inputs."""
    dense, sparse, _ = vectors(3, 2, 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected dense .* received shapes"):
        pair_products(dense[:2], sparse)


def test_training_and_evaluation_use_it():
    """Steps of `fit` and `evaluate` have it; those of `predict` and calls have stock operations."""

    def ops(function, *args):
        graph = tf.function(function).get_concrete_function(*args).graph
        return {op.type for op in graph.get_operations() if "PairProducts" in op.type}

    model, batches = compiled(make_dlrm()), dataset(4)
    model.build_before_trace(batches.element_spec)
    both = {"TfrecPairProducts", "TfrecPairProductsGradient"}
    assert ops(model.train_step, batches.element_spec) == both
    assert ops(model.test_step, batches.element_spec) == {"TfrecPairProducts"}
    assert ops(model.predict_step, batches.element_spec[:1]) == set()
    dense, sparse, _ = vectors(3, 2, 4)
    assert ops(InteractionArch(2), dense, sparse) == set()


def test_predictions_that_need_not_equal_an_export():
    """`same_bits=False`: `predict` has it too, and differs in rounding alone."""
    model, batches = compiled(make_dlrm()), dataset(4)
    expected = model(next(iter(batches))[0])
    with changed(same_bits=False):
        found = model.predict(batches.take(1), verbose=0)
        graph = tf.function(model.predict_step).get_concrete_function(batches.element_spec[:1])
        served = tf.function(lambda inputs: model(inputs, training=False))
        served = served.get_concrete_function(batches.element_spec[0])
    assert "TfrecPairProducts" in {op.type for op in graph.graph.get_operations()}
    # A function that may be saved keeps to stock operations, whatever `same_bits` says.
    ops = {op.type for op in served.graph.get_operations()}
    assert not {op for op in ops if op.startswith("Tfrec") or op == "StatefulPartitionedCall"}
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
