"""Adam of whole tables is the dense one, of gradients that name some rows."""

import keras
import numpy as np
import tensorflow as tf

from tfrec_models.optimizers import Adam

SHAPE = (6, 2)


def sliced(rows, seed):
    """A gradient that names some rows, and the dense one it stands for."""
    values = np.random.default_rng(seed).normal(size=(len(rows), SHAPE[1])).astype(np.float32)
    dense = np.zeros(SHAPE)
    np.add.at(dense, rows, values)
    indices, shape = tf.constant(rows, tf.int64), tf.constant(SHAPE, tf.int64)
    return tf.IndexedSlices(tf.constant(values), indices, shape), dense


def test_equals_dense_adam():
    """With ids that repeat and others in each step; `l2` shrinks rows that no step names."""
    start = np.random.default_rng(9).uniform(1, 2, SHAPE).astype(np.float32)
    table, optimizer = keras.Variable(start), Adam(0.1, l2=0.3)
    weights, first, second = start.astype(np.float64), np.zeros(SHAPE), np.zeros(SHAPE)
    for step, rows in enumerate(([0, 3, 3], [1], [0, 1, 1, 1], [3]), start=1):
        gradient, dense = sliced(rows, step)
        optimizer.apply([gradient], [table])
        dense += 0.3 * weights
        first = 0.9 * first + 0.1 * dense
        second = 0.999 * second + 0.001 * dense**2
        rate = 0.1 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weights -= rate * first / (np.sqrt(second) + 1e-7)
    np.testing.assert_allclose(table.numpy(), weights, rtol=0, atol=5e-6)
    assert (table.numpy()[[2, 4, 5]] < start[[2, 4, 5]]).all()


def test_comes_back_from_its_config():
    """As its own class, with `l2`."""
    config = keras.optimizers.serialize(Adam(0.1, l2=0.3))
    again = keras.optimizers.deserialize(config)
    assert type(again) is Adam and again.l2 == 0.3
