"""The dot products of DLRM's interaction and their gradient, against loops in NumPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfrec_models.dlrm.interaction_arch import dot_interaction

DIM = 3


def expected(dense, sparse, upstream):
    """Output, and the gradients of both inputs, one pair at a time."""
    vectors = np.concatenate([dense[:, None], sparse], axis=1)
    pairs = list(itertools.combinations(range(vectors.shape[1]), 2))
    products = [(vectors[:, i] * vectors[:, j]).sum(1) for i, j in pairs]
    gradient = np.zeros_like(vectors)
    gradient[:, 0] = upstream[:, :DIM]
    for number, (i, j) in enumerate(pairs):
        of_pair = upstream[:, DIM + number, None]
        gradient[:, i] += of_pair * vectors[:, j]
        gradient[:, j] += of_pair * vectors[:, i]
    return np.concatenate([dense, np.stack(products, 1)], 1), gradient[:, 0], gradient[:, 1:]


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(("batch", "features"), [(4, 5), (1, 1), (0, 2)])
def test_products_and_gradient(batch, features, jit_compile):
    """Values and the gradient spelled out by hand equal the loops, with XLA and without."""
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(batch, DIM))
    sparse = rng.normal(size=(batch, features, DIM))
    upstream = rng.normal(size=(batch, DIM + features * (features + 1) // 2))

    @tf.function(jit_compile=jit_compile)
    def found(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = dot_interaction(*inputs)
        return output, *tape.gradient(output, inputs, output_gradients=tf.constant(upstream))

    tensors = found(tf.constant(dense), tf.constant(sparse))
    for got, wanted in zip(tensors, expected(dense, sparse, upstream), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)
