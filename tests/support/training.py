"""Models trained from one start, for comparisons between strategies."""

import contextlib

import keras

from tests.support.models import compiled, make_dlrm
from tfrec_models.optimizers import Adagrad, CompositeOptimizer, LazyAdam, RowWiseAdagrad

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.5),
    "adagrad": lambda: Adagrad(0.1),
    "row_wise": lambda: CompositeOptimizer(RowWiseAdagrad(0.1), keras.optimizers.SGD(0.5)),
    "lazy_adam": lambda: LazyAdam(0.01),
}


def trained(batches, optimizer, strategy=None, repeats=10, make=make_dlrm):
    """A DLRM trained from the same start: for 20 steps on two batches.

    In one epoch: under a strategy most of a short epoch's time is its iterator.
    """
    keras.utils.set_random_seed(5)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = compiled(make(), OPTIMIZERS[optimizer]())
    model.fit(batches.repeat(repeats), verbose=0)
    return model
