"""Seeds for a test, at a small part of what `keras.utils.set_random_seed` costs."""

import random
from unittest import mock

import keras
import tensorflow as tf
from tensorflow.python.eager import context


def start_from_seed(seed, name):
    """Seeds Python, NumPy and Keras with `seed`, and TensorFlow's operations by `name`.

    `tf.random.set_seed` also drops every compiled operation of the process, since one that draws
    random numbers would go on where it stopped; making them anew takes a test a third of its time.
    Seeds drawn by the test's own name meet no operation that another test began.
    """
    with mock.patch.object(tf.random, "set_seed"):
        keras.utils.set_random_seed(seed)
    context.context()._rng = random.Random(name)
