"""Scenario of one worker on parameter servers; see `server_cluster`."""

import keras
import tensorflow as tf

from tests.distribute.server_setup import (
    OPTIMIZERS,
    largest_difference,
    made,
    set_weights,
)
from tests.support.data import dataset
from tests.support.models import make_dlrm
from tfrec_models import optimizers
from tfrec_models._rows.sharding import is_sharded
from tfrec_models.distribute import fit_on_servers
from tfrec_models.layers import EmbeddingCollection, EmbeddingConfig


class Sequences(keras.Model):
    """Looks up every id of a feature by itself: its tables' gradients are those of no bags."""

    def __init__(self):
        super().__init__()
        self.tables = EmbeddingCollection(
            [
                EmbeddingConfig(30, 4, "a", feature_names=["f1", "f3"]),
                EmbeddingConfig(20, 4, "b", feature_names=["f2"]),
            ]
        )
        self.top = keras.layers.Dense(1)

    def build(self, input_shape=None):
        self.tables.build()
        self.top.build((None, 12))
        self.built = True

    def call(self, inputs):
        rows = self.tables(inputs["sparse_features"])
        sums = [tf.reduce_sum(tf.tanh(each.to_ragged()), 1) for each in rows.values()]
        return self.top(tf.concat(sums, 1))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((None, 1))


# What else may be asked of an optimizer, beside the one it changes.
SETTINGS = {
    "lazy_adam": lambda: optimizers.LazyAdam(0.01, weight_decay=0.1, clipvalue=0.001),
    "row_wise": lambda: optimizers.CompositeOptimizer(
        optimizers.RowWiseAdagrad(0.1, clipnorm=0.01, weight_decay=0.1),
        keras.optimizers.SGD(0.5, clipnorm=0.01, weight_decay=0.1),
        loss_scale_factor=4.0,
    ),
}


def scaled_ftrl():
    """A scale that doubles four times in the 20 steps."""
    ftrl = optimizers.Ftrl(0.1, global_clipnorm=0.05)
    return optimizers.LossScaleOptimizer(ftrl, dynamic_growth_steps=5)


def one_worker(strategy, directory):
    """20 steps of one worker on 20 different batches equal one device.

    With each optimizer; with weight decay, clipping and scaled losses; on tables for sequences.
    """
    assert set(OPTIMIZERS) == {"sgd", "adagrad", "row_wise", "lazy_adam"}
    plain = {name: equals_one_device(strategy, make_dlrm, OPTIMIZERS[name]) for name in OPTIMIZERS}
    for name, optimizer in SETTINGS.items():
        changed = equals_one_device(strategy, make_dlrm, optimizer)
        assert largest_difference(plain[name], changed) > 1e-3, name
    sequences = equals_one_device(strategy, Sequences, scaled_ftrl)
    assert sequences.optimizer.dynamic_scale.numpy() == sequences.optimizer.initial_scale * 2**4


def equals_one_device(strategy, new_model, optimizer):
    """Trains on one device and on servers, and returns the latter if both are equal."""
    alone = made(optimizer, new_model=new_model)
    first = [v.numpy() for v in alone.variables]
    served = made(optimizer, strategy, first, new_model=new_model)
    assert is_sharded(served.variables[0].value)
    alone.fit(dataset(160, batch=8), shuffle=False, verbose=0)
    fit_on_servers(
        served, lambda: dataset(160, batch=8), steps_per_epoch=20, max_pending=1, verbose=0
    )
    assert largest_difference(alone, served) < 1e-6, optimizer
    set_weights(alone, first)
    assert largest_difference(alone, served) > 1e-3, optimizer
    return served
