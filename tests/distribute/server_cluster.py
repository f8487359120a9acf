"""Scenarios on parameter servers, in a process with a cluster in threads.

    python -m tests.distribute.server_cluster WORKERS DIRECTORY SCENARIO...

TensorFlow connects a process to one cluster for good, so that the tests cannot do it themselves.
"""

import contextlib
import functools
import itertools
import json
import os
import sys
import threading
from unittest import mock

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow.python.distribute.coordinator.values import RemoteValueImpl

from tests.distribute.server_one_worker import one_worker
from tests.distribute.server_resume import checkpoints, positions
from tests.distribute.server_setup import (
    OPTIMIZERS,
    largest_difference,
    made,
    set_weights,
    start,
)
from tests.support.data import as_form, dataset
from tests.support.models import compiled, make_dlrm
from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, optimizers, xla_disabled
from tfrec_models._rows.sharding import is_sharded, shards
from tfrec_models.datasets import Schema, Sparse, read
from tfrec_models.distribute import fit_on_servers, run_server, server_strategy, training_variables
from tfrec_models.embeddings.table_stack import TableStack


def weights(strategy, directory):
    """20 steps with several workers, one at a time, equal one device; slots lie beside their rows.

    Which of the workers takes a step is left to TensorFlow, so all steps are on one batch.
    """
    forms = ("dict", "packed", "kjt", "ids")
    for (name, _), form in zip(OPTIMIZERS.items(), forms, strict=True):
        batches = as_form(form, dataset(8, batch=8))
        alone = made(name)
        first = [v.numpy() for v in alone.variables]
        served = made(name, strategy, first)
        tables = served.embedding_bag_collection.table_variables
        assert all(is_sharded(table.value) for table in tables)
        alone.fit(batches, epochs=20, shuffle=False, verbose=0)
        history = fit_on_servers(
            served,
            lambda form=form: as_form(form, dataset(8, batch=8)),
            epochs=10,
            steps_per_epoch=2,
            max_pending=1,
            verbose=0,
        )
        assert len(history.history["loss"]) == 10
        difference = largest_difference(alone, served)
        assert difference < 1e-6, (name, difference)
        set_weights(alone, first)
        assert largest_difference(alone, served) > 1e-3, name
        slots = training_variables(served)
        cut = {key: slot for key, slot in slots.items() if is_sharded(slot)}
        for slot in cut.values():
            where = [shard.device for shard in shards(slot)]
            assert where in [[shard.device for shard in shards(t.value)] for t in tables]
            assert len(set(where)) == 2
        print(name, form, difference, len(cut))


class Sums(keras.Model):
    """Sums rows and a bias, so that the gradient is the same at every step."""

    def __init__(self):
        super().__init__()
        config = EmbeddingBagConfig(40, 4, "t", feature_names=["f"], init_fn=tf.zeros)
        self.tables = EmbeddingBagCollection([config])
        self.bias = self.add_weight(name="bias", shape=(1,), initializer="zeros")

    def call(self, ids):
        return tf.reduce_sum(self.tables({"f": ids}).values(), 1, keepdims=True) + self.bias

    def compute_output_spec(self, ids):
        return keras.KerasTensor((None, 1))

    def build(self, input_shape=None):
        self.tables.build()
        self.built = True


def counting(strategy, directory):
    """Four workers at once on the same rows: every update and count is there, to the bit.

    Nor does it matter that workers are lost between a step and sending its metrics.
    """
    with strategy.scope():
        model = Sums()
        mean = keras.metrics.MeanMetricWrapper(lambda y_true, y_pred: y_true, name="mean")
        model.compile(optimizers.SGD(0.25), loss=lambda y_true, y_pred: y_pred, metrics=[mean])
    steps = 300

    def data():
        return tf.data.Dataset.from_tensors((tf.range(32) // 2, tf.range(32.0)[:, None]))

    with lost_answers(every=20):
        history = fit_on_servers(model, data, steps_per_epoch=steps, verbose=0).history
    assert history["mean"] == [15.5]
    assert int(mean.count.numpy()) == steps * 32
    expected = np.zeros((40, 4), np.float32)
    # Each of rows 0 to 15 is in 2 of 32 examples, the gradient is 1 in each.
    expected[:16] = -0.25 * steps * 2 / 32
    np.testing.assert_array_equal(model.tables.read_table("t").numpy(), expected)
    np.testing.assert_array_equal(model.bias.numpy(), [-0.25 * steps])
    assert int(model.optimizer.iterations.numpy()) == steps


@contextlib.contextmanager
def lost_answers(every):
    """One in so many answers is asked for when its worker is gone, and there when asked again.

    TensorFlow asks too, in threads of its own, and has a step done again if it gets no answer.
    """
    get, asked = RemoteValueImpl.get, itertools.count(1)
    # Of a worker that is gone, and of one that is back already.
    errors = itertools.cycle(
        [
            tf.errors.UnavailableError(None, None, "the worker died with its answer"),
            tf.errors.InvalidArgumentError(None, None, "Unable to find the relevant tensor"),
        ]
    )

    def get_unless_lost(value):
        if threading.current_thread() is threading.main_thread() and next(asked) % every == 0:
            raise next(errors)
        return get(value)

    with mock.patch.object(RemoteValueImpl, "get", get_unless_lost):
        yield


def filling(strategy, directory):
    """No process makes a whole table: each piece is filled by itself, within its rows' bounds."""
    drawn = []
    whole = TableStack.initializer

    def recording(stack):
        initialize = whole(stack)

        def initialize_and_record(shape, dtype=None, **keywords):
            rows = initialize(shape, dtype, **keywords)
            drawn.append((tuple(shape), rows.device.split("/device")[0]))
            return rows

        return initialize_and_record

    given = np.arange(60.0).reshape(15, 4) + 10
    with mock.patch.object(TableStack, "initializer", recording), strategy.scope():
        tables = [
            EmbeddingBagConfig(30, 4, "a", weight_init_min=1.0, weight_init_max=2.0),
            EmbeddingBagConfig(
                15, 4, "cut", init_fn=lambda shape, dtype: tf.constant(given, dtype)
            ),
            EmbeddingBagConfig(21, 4, "b", weight_init_min=-5.0, weight_init_max=-4.0),
        ]
        collection = EmbeddingBagCollection(tables)
        collection.build()
    servers = [f"/job:ps/replica:0/task:{task}" for task in (0, 1)]
    assert drawn == [((34, 4), servers[0]), ((33, 4), servers[1])], drawn
    # Its rows 31 to 45 of the variable lie on both.
    np.testing.assert_array_equal(collection.read_table("cut"), given)
    for name, low, high in (("a", 1, 2), ("b", -5, -4)):
        rows = collection.read_table(name).numpy()
        assert low <= rows.min() and rows.max() <= high and len(np.unique(rows)) > 80
    shards_drawn = [shard.numpy() for shard in shards(collection.table_variables[0].value)]
    assert not np.isin(shards_drawn[0], shards_drawn[1]).any()


def refused(strategy, directory):
    """Everything that cannot work is refused before a step is taken."""

    def refuses(error, match, call, *arguments, **keywords):
        with pytest.raises(error, match=match):
            call(*arguments, **keywords)

    data = lambda: dataset(8)  # noqa: E731
    outside = made("sgd")
    refuses(ValueError, "made outside the scope", fit_on_servers, outside, data, steps_per_epoch=1)
    refuses(ValueError, "steps_per_epoch must be", fit_on_servers, outside, data)
    refuses(TypeError, "must be a function", fit_on_servers, outside, data(), steps_per_epoch=1)
    backup = [keras.callbacks.BackupAndRestore(directory)]
    run = functools.partial(fit_on_servers, steps_per_epoch=1)
    refuses(ValueError, "after a single step", run, outside, data, callbacks=backup)
    gone = {"worker": ["127.0.0.1:1"], "ps": ["127.0.0.1:2"]}
    refuses(TimeoutError, "No answer", server_strategy, timeout_seconds=0.5, cluster=gone)
    os.environ["TF_CONFIG"] = json.dumps({"cluster": gone, "task": {"type": "ps", "index": 3}})
    refuses(ValueError, "task 3 of job 'ps'", server_strategy)
    refuses(ValueError, "task 3 of job 'ps'", run_server)
    os.environ["TF_CONFIG"] = json.dumps({"cluster": gone, "task": {"type": "ps", "index": 0}})
    refuses(ValueError, "call run_server", server_strategy)
    # More pieces than rows: TensorFlow leaves none empty, and the dense weights are cut too.
    cut = tf.distribute.experimental.partitioners.FixedShardsPartitioner(99)
    with mock.patch.object(strategy.extended, "_variable_partitioner", cut):
        dense_cut = made("sgd", strategy)
    refuses(ValueError, "cuts dense weights", run, dense_cut, data)
    with strategy.scope():
        model = make_dlrm()
    refuses(ValueError, "dlrm.* is not compiled", run, model, data)
    refuses(ValueError, "optimizer sgd.* was made under _Default", run, compiled(model), data)
    sgd, dense = optimizers.SGD, keras.optimizers.SGD
    for match, optimizer in {
        "Adagrad cannot update tables": keras.optimizers.Adagrad,
        "averages of tables are not kept": lambda: sgd(use_ema=True),
        "one of the 4 workers could divide": lambda: optimizers.LossScaleOptimizer(sgd()),
        "SGD has gradient_accumulation_steps=2": lambda: optimizers.CompositeOptimizer(
            sgd(), dense(gradient_accumulation_steps=2)
        ),
        "SGD has ema_overwrite_frequency=3": lambda: optimizers.CompositeOptimizer(
            sgd(), dense(use_ema=True, ema_overwrite_frequency=3)
        ),
    }.items():
        with strategy.scope():
            compiled(model, optimizer())
        refuses(ValueError, match, run, model, data)
    with strategy.scope():
        compiled(model, sgd())
    schema = Schema(None, [], [Sparse("other", ids="hash", num_ids=9)])
    of_another = functools.partial(read, pa.table({"other": ["a"]}), schema, 1)
    refuses(ValueError, "made for another schema. table .* the model none", run, model, of_another)


SCENARIOS = (weights, one_worker, counting, checkpoints, positions, filling, refused)


def main(workers, directory, *names):
    cluster = start(int(workers))
    for scenario in SCENARIOS:
        if scenario.__name__ in names:
            scenario(cluster, f"{directory}/{scenario.__name__}")
            print(scenario.__name__, "passed", flush=True)


if __name__ == "__main__":
    with xla_disabled():
        main(*sys.argv[1:])
