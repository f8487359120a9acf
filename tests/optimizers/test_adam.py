"""Adam of whole tables is the dense one, of gradients that name some rows."""

import keras
import numpy as np
import tensorflow as tf

from tfrec_models.optimizers import Adam

SHAPE = (6, 2)


def sliced(rows, seed):
    values = np.random.default_rng(seed).normal(size=(len(rows), SHAPE[1])).astype(np.float32)
    dense = np.zeros(SHAPE, np.float32)
    np.add.at(dense, rows, values)
    return tf.IndexedSlices(
        values, tf.constant(rows, tf.int64), tf.constant(SHAPE, tf.int64)
    ), dense


def test_equals_keras_adam_of_dense_gradients():
    """With ids that repeat and others in each step; `l2` shrinks rows that no step names."""
    start = np.random.default_rng(9).uniform(1, 2, SHAPE).astype(np.float32)
    ours, theirs = keras.Variable(start), keras.Variable(start)
    optimizer, reference = Adam(0.1, l2=0.3), keras.optimizers.Adam(0.1)
    for step, rows in enumerate(([0, 3, 3], [1], [0, 1, 1, 1], [3])):
        gradient, dense = sliced(rows, step)
        optimizer.apply([gradient], [ours])
        reference.apply([tf.constant(dense + 0.3 * theirs.numpy())], [theirs])
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=2e-6)
    assert (np.abs(ours.numpy()[[2, 4, 5]]) < np.abs(start[[2, 4, 5]])).all()


def test_comes_back_from_its_config():
    """As its own class, with `l2`."""
    config = keras.optimizers.serialize(Adam(0.1, l2=0.3))
    again = keras.optimizers.deserialize(config)
    assert type(again) is Adam and again.l2 == 0.3
