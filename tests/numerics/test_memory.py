"""Tables of models that were dropped are freed."""

import contextlib
import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.numerics.models import FAMILIES, make
from tfrec_models.optimizers import Adagrad, CompositeOptimizer, RowWiseAdagrad

OPTIMIZERS = {
    "row-wise": lambda: RowWiseAdagrad(0.05),
    "with Adam": lambda: CompositeOptimizer(RowWiseAdagrad(0.05), keras.optimizers.Adam(0.01)),
    "with Adagrad": lambda: CompositeOptimizer(RowWiseAdagrad(0.05), Adagrad(0.01)),
}


def used(family, optimizer, scope=None):
    """Makes, fits, evaluates and drops a model; returns weak references to its tables' memory."""
    x = {"dense_features": np.ones((8, 3), "float32"), "sparse_features": np.ones((8, 2), int)}
    data = tf.data.Dataset.from_tensor_slices((x, np.ones((8, 1), "float32"))).batch(4)
    with scope or contextlib.nullcontext():
        model = make(family)
        model.compile(OPTIMIZERS[optimizer](), "mse")
    model.fit(data, verbose=0)
    model.evaluate(data, verbose=0)
    model.predict(data, verbose=0)
    value = model.embedding_bag_collection.table_variables[0].value
    # The handle owns the memory: a graph that is kept holds it, not the variable.
    return [weakref.ref(copy.handle) for copy in getattr(value, "values", None) or [value]]


def alive(handles):
    keras.backend.clear_session()
    gc.collect()
    return [handle() for handle in handles if handle() is not None]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family):
    """`fit`, `evaluate` and `predict` leave nothing behind that holds a table."""
    assert not alive(used(family, "row-wise"))


@pytest.mark.parametrize("optimizer", ["with Adam", "with Adagrad"])
def test_two_optimizers(optimizer):
    """Nor where an optimizer reduces dense gradients alone."""
    assert not alive(used("DLRM", optimizer))


def test_mirrored(two_devices):
    """Nor under a strategy, on any device."""
    assert not alive(used("DLRM", "with Adam", two_devices.scope()))
