"""Runs of `distribute.fit` that are stopped within one process, and started again."""

import contextlib
import random

import keras
import numpy as np
import tensorflow as tf

from tests.support.data import untuned
from tfrec_models.distribute import fit, training_variables


class Stopped(Exception):
    """Stands for a kill, in a test of one process."""


class StopAfter(keras.callbacks.Callback):
    """Ends the run after some steps of training; those only read again do not count."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        if logs:
            self.left -= 1
            if not self.left:
                raise Stopped


def examples(count=18):
    """The numbers below `count`, each an input and its own label."""
    numbers = tf.reshape(tf.range(float(count)), (-1, 1)) / count
    return untuned(tf.data.Dataset.from_tensor_slices((numbers, numbers)))


DATASETS = {
    "shuffled anew each epoch": lambda: {"dataset": examples().shuffle(18, seed=3).batch(4)},
    "function of the epoch": lambda: {
        "dataset": lambda epoch: examples().shuffle(18, seed=epoch).batch(4)
    },
    "endless": lambda: {
        "dataset": examples().shuffle(18, seed=3).batch(4).repeat(),
        "steps_per_epoch": 5,
    },
    "of unknown length": lambda: {
        "dataset": examples().shuffle(18, seed=3).batch(4).filter(lambda *_: True)
    },
}


def make_model(strategy=None, use_ema=False, dropout=0.5, **compile_arguments):
    """Dropout and Adam, so that seeds and slots matter."""
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = keras.Sequential(
            [keras.layers.Dense(4, "tanh"), keras.layers.Dropout(dropout), keras.layers.Dense(1)]
        )
        model.compile(keras.optimizers.Adam(0.1, use_ema=use_ema), "mse", **compile_arguments)
    return model


def run_to_the_end(directory, stops, data, strategy=None, callbacks=(), **model_arguments):
    """Trains for three epochs in as many runs as it takes; returns all variables at the end."""
    keras.utils.set_random_seed(5)
    for steps in [*stops, None]:
        model = make_model(strategy, **model_arguments)
        stop = [StopAfter(steps)] if steps else []
        try:
            fit(
                model,
                checkpoint_directory=directory,
                epochs=3,
                save_every=2,
                callbacks=[*callbacks, *stop],
                verbose=0,
                **data(),
            )
        except Stopped:
            # A restarted run draws other first weights, and must not keep them.
            random.seed(steps)
    return {name: variable.numpy() for name, variable in training_variables(model).items()}


def assert_equal(resumed, whole):
    assert list(resumed) == list(whole)
    for name, value in resumed.items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)
