"""The warning that names the exact optimizer."""

import warnings

import keras
import pytest

from tfrec_models import optimizers


@pytest.mark.parametrize(
    ("optimizer", "replacement"),
    [
        (keras.optimizers.Adagrad(), "tfrec_models.optimizers.Adagrad"),
        (keras.optimizers.Adam(), "tfrec_models.optimizers.LazyAdam"),
        (keras.optimizers.AdamW(), "tfrec_models.optimizers.LazyAdam"),
        (keras.optimizers.Ftrl(), "tfrec_models.optimizers.Ftrl"),
        (keras.optimizers.RMSprop(), "tfrec_models.optimizers.RowWiseAdagrad"),
        (keras.optimizers.SGD(momentum=0.9), "tfrec_models.optimizers.SGD"),
        (
            keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
            "tfrec_models.optimizers.LazyAdam",
        ),
        (
            optimizers.CompositeOptimizer(keras.optimizers.Adam(), keras.optimizers.SGD()),
            "tfrec_models.optimizers.LazyAdam",
        ),
    ],
)
def test_warns_and_names_the_replacement(optimizer, replacement):
    """The warning says which class of ours replaces Keras's."""
    with pytest.warns(UserWarning, match=f"Use {replacement}, or"):
        optimizers.warn_if_inexact(optimizer)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(),
        optimizers.Adagrad(),
        optimizers.LossScaleOptimizer(optimizers.LazyAdam()),
        optimizers.CompositeOptimizer(optimizers.RowWiseAdagrad(), keras.optimizers.Adam()),
    ],
)
def test_says_nothing_of_exact_optimizers(optimizer):
    """Keras's plain SGD, ours, and Keras's own on the dense part."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizers.warn_if_inexact(optimizer)
