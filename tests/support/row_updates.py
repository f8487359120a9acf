"""Every optimizer beside its rule in NumPy, and the rows that the steps of a test name."""

import tensorflow as tf

from tests.support import numpy_rules
from tfrec_models import optimizers

ROWS, COLUMNS = 7, 3


OPTIMIZERS = {
    "row_wise_adagrad": (
        lambda: optimizers.RowWiseAdagrad(learning_rate=0.1),
        numpy_rules.RowWiseAdagrad,
        {},
    ),
    "adagrad": (lambda: optimizers.Adagrad(learning_rate=0.1), numpy_rules.Adagrad, {}),
    "sgd": (lambda: optimizers.SGD(learning_rate=0.1), numpy_rules.SGD, {}),
    "momentum": (
        lambda: optimizers.SGD(learning_rate=0.1, momentum=0.9),
        numpy_rules.SGD,
        {"momentum": 0.9},
    ),
    "nesterov": (
        lambda: optimizers.SGD(learning_rate=0.1, momentum=0.9, nesterov=True),
        numpy_rules.SGD,
        {"momentum": 0.9, "nesterov": True},
    ),
    "lazy_adam": (lambda: optimizers.LazyAdam(learning_rate=0.1), numpy_rules.LazyAdam, {}),
    "amsgrad": (
        lambda: optimizers.LazyAdam(learning_rate=0.1, amsgrad=True),
        numpy_rules.LazyAdam,
        {"amsgrad": True},
    ),
    "ftrl": (
        lambda: optimizers.Ftrl(
            learning_rate=0.1,
            l1_regularization_strength=0.2,
            l2_regularization_strength=0.1,
            l2_shrinkage_regularization_strength=0.05,
            beta=0.3,
        ),
        numpy_rules.Ftrl,
        {"l1": 0.2, "l2": 0.1, "shrinkage": 0.05, "beta": 0.3},
    ),
    "ftrl_cube_root": (
        lambda: optimizers.Ftrl(learning_rate=0.1, learning_rate_power=-1 / 3),
        numpy_rules.Ftrl,
        {"power": 1 / 3},
    ),
}


# The rows named in each of three steps.
IDS = {
    "unique": [[0, 3, 5], [6, 3, 1], [5, 0, 2]],
    "repeated": [[2, 2, 5, 2], [5, 5, 5, 5], [0, 2, 0, 6]],
    "empty_step": [[1, 1, 4], [], [4, 1, 4]],
    "all_rows": [list(range(ROWS)), list(range(ROWS))[::-1], [*range(ROWS), *range(ROWS)]],
    "one_row": [[4], [4], [4]],
}


def slices(values, ids, dtype):
    return tf.IndexedSlices(
        tf.cast(tf.reshape(values, (-1, COLUMNS)), dtype),
        tf.constant(ids, tf.int64, shape=(len(ids),)),
        tf.constant([ROWS, COLUMNS], tf.int64),
    )
