"""Scenarios on parameter servers, each in a process of its own with its cluster in threads.

    python -m tests.distribute.server_cluster SCENARIO [DIRECTORY]

TensorFlow connects a process to one cluster for good, so that the tests cannot do it themselves.
"""

import contextlib
import functools
import json
import os
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.distribute.processes import free_ports
from tests.distribute.test_mirrored_strategy import OPTIMIZERS as MIRRORED
from tests.distribute.test_mirrored_strategy import as_form
from tests.dlrm.test_dlrm import ROWS, compiled, dataset, make
from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, optimizers, xla_disabled
from tfrec_models.distribute import (
    TrainingCheckpoint,
    fit,
    fit_on_servers,
    run_server,
    server_strategy,
    training_variables,
)
from tfrec_models.distribute.servers import start_server
from tfrec_models.layers.table_stack import TableStack
from tfrec_models.sharding import is_sharded, shards

# Keras's own are for dense weights alone here.
OPTIMIZERS = {**MIRRORED, "sgd": lambda: optimizers.SGD(0.5)}


def cut_tables(shape, dtype, axis=0):
    """Two pieces for whatever has the rows of the small model's tables."""
    return [2 if shape[0] > ROWS else 1] + [1] * (len(shape) - 1)


def start(workers=1, servers=2, partitioner=cut_tables):
    """A cluster in threads of this process, and a strategy over it."""
    cluster = {
        job: [f"127.0.0.1:{port}" for port in free_ports(count)]
        for job, count in (("worker", workers), ("ps", servers))
    }
    spec = tf.train.ClusterSpec(cluster)
    for job, addresses in cluster.items():
        for index in range(len(addresses)):
            start_server(spec, job, index)
    return server_strategy(partitioner, timeout_seconds=180, cluster=cluster)


def made(optimizer, strategy=None, weights=None, metrics=None):
    keras.utils.set_random_seed(5)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = make()
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(OPTIMIZERS[optimizer](), loss, metrics=metrics and metrics())
        model.build()
    if weights:
        set_weights(model, weights)
    return model


def set_weights(model, weights):
    for variable, value in zip(model.variables, weights, strict=True):
        variable.assign(value)


def largest_difference(one, two):
    return max(
        np.abs(a.numpy() - b.numpy()).max()
        for a, b in zip(one.variables, two.variables, strict=True)
    )


def one_worker(directory):
    """20 steps of one worker on 20 different batches equal one device."""
    strategy = start()
    assert set(OPTIMIZERS) == {"sgd", "adagrad", "row_wise", "lazy_adam"}
    for name in OPTIMIZERS:
        alone = made(name)
        first = [v.numpy() for v in alone.variables]
        served = made(name, strategy, first)
        alone.fit(dataset(160, batch=8), shuffle=False, verbose=0)
        fit_on_servers(
            served, lambda: dataset(160, batch=8), steps_per_epoch=20, max_pending=1, verbose=0
        )
        assert largest_difference(alone, served) < 1e-6, name
        set_weights(alone, first)
        assert largest_difference(alone, served) > 1e-3, name


def weights(directory):
    """20 steps with two workers, one at a time, equal one device; slots lie beside their rows.

    Which of the workers takes a step is left to TensorFlow, so all steps are on one batch.
    """
    strategy = start(workers=2)
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


def counting(directory):
    """Four workers at once on the same rows: every update and count is there, to the bit."""
    strategy = start(workers=4)
    with strategy.scope():
        model = Sums()
        mean = keras.metrics.MeanMetricWrapper(lambda y_true, y_pred: y_true, name="mean")
        model.compile(optimizers.SGD(0.25), loss=lambda y_true, y_pred: y_pred, metrics=[mean])
    steps = 300

    def data():
        return tf.data.Dataset.from_tensors((tf.range(32) // 2, tf.range(32.0)[:, None]))

    history = fit_on_servers(model, data, steps_per_epoch=steps, verbose=0).history
    assert history["mean"] == [15.5]
    assert int(mean.count.numpy()) == steps * 32
    expected = np.zeros((40, 4), np.float32)
    # Each of rows 0 to 15 is in 2 of 32 examples, the gradient is 1 in each.
    expected[:16] = -0.25 * steps * 2 / 32
    np.testing.assert_array_equal(model.tables.read_table("t").numpy(), expected)
    np.testing.assert_array_equal(model.bias.numpy(), [-0.25 * steps])
    assert int(model.optimizer.iterations.numpy()) == steps


def checkpoints(directory):
    """One machine's checkpoint goes on on servers, and back; tables are read and written there."""
    strategy = start()
    # Made in the scope of the model they belong to.
    metrics = lambda: [keras.metrics.AUC(from_logits=True, name="auc")]  # noqa: E731
    alone, served = made("row_wise"), made("row_wise", strategy, metrics=metrics)
    fit(alone, dataset(8), directory, epochs=2, verbose=0)
    arguments = {"steps_per_epoch": 2, "checkpoint_directory": directory, "verbose": 0}
    data = lambda: dataset(8)  # noqa: E731
    history = fit_on_servers(
        served, data, epochs=4, max_pending=1, save_every=1, validation_dataset_fn=data, **arguments
    )
    assert history.epoch == [2, 3] and "val_auc" in history.history
    again, straight = made("row_wise"), made("row_wise", metrics=metrics)
    TrainingCheckpoint(training_variables(again), directory).restore()
    straight.fit(dataset(8), epochs=4, shuffle=False, verbose=0)
    assert largest_difference(again, served) == 0
    assert largest_difference(straight, served) < 1e-6
    expected = straight.evaluate(dataset(8), verbose=0, return_dict=True)
    for name, value in expected.items():
        assert abs(history.history[f"val_{name}"][-1] - value) < 1e-5, name
    collection = served.embedding_bag_collection
    rows = np.arange(ROWS * 4, dtype=np.float32).reshape(ROWS, 4)
    before = collection.read_table("t1").numpy()
    collection.write_table("t2", rows)
    np.testing.assert_array_equal(collection.read_table("t2"), rows)
    np.testing.assert_array_equal(collection.read_table("t1"), before)


def positions(directory):
    """`fit` goes on in a directory of the servers, and no epoch is begun that has no step left."""
    strategy = start()
    data = lambda: dataset(8)  # noqa: E731
    served = made("row_wise", strategy)
    first = [v.numpy() for v in served.variables]
    run = functools.partial(
        fit_on_servers, served, data, checkpoint_directory=directory, max_pending=1, verbose=0
    )

    def fail(epoch, logs):
        raise RuntimeError("between the last step's checkpoint and that of the epoch")

    dies = [keras.callbacks.LambdaCallback(on_epoch_end=fail)]
    with pytest.raises(RuntimeError, match="between"):
        run(steps_per_epoch=2, save_every=1, callbacks=dies)
    with pytest.raises(ValueError, match="after step 2 of an epoch, but steps_per_epoch is 1"):
        run(steps_per_epoch=1, epochs=2)
    history = run(steps_per_epoch=2, epochs=2, max_to_keep=1)
    assert history.epoch == [1] and history.history["loss"][0] > 0.1
    kept = TrainingCheckpoint(training_variables(served), directory).paths()
    assert len(kept) == 1, kept
    alone, straight = made("row_wise"), made("row_wise", weights=first)
    assert fit(alone, dataset(8), directory, epochs=3, verbose=0).epoch == [2]
    straight.fit(dataset(8), epochs=3, shuffle=False, verbose=0)
    assert largest_difference(alone, straight) < 1e-6
    # From now on it is `fit`'s own, which knows its data again.
    with pytest.raises(ValueError, match="does not begin with the batch"):
        fit(made("row_wise"), dataset(8).skip(1), directory, epochs=4, verbose=0)


def filling(directory):
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

    TableStack.initializer = recording
    with start().scope():
        tables = [
            EmbeddingBagConfig(30, 4, "a", weight_init_min=1.0, weight_init_max=2.0),
            EmbeddingBagConfig(21, 4, "b", weight_init_min=-5.0, weight_init_max=-4.0),
        ]
        collection = EmbeddingBagCollection(tables)
        collection.build()
    servers = [f"/job:ps/replica:0/task:{task}" for task in (0, 1)]
    assert drawn == [((26, 4), servers[0]), ((26, 4), servers[1])], drawn
    for name, low, high in (("a", 1, 2), ("b", -5, -4)):
        rows = collection.read_table(name).numpy()
        assert low <= rows.min() and rows.max() <= high and len(np.unique(rows)) > 80
    shards_drawn = [shard.numpy() for shard in shards(collection.table_variables[0].value)]
    assert not np.isin(shards_drawn[0], shards_drawn[1]).any()


def refused(directory):
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
    strategy = start(partitioner=tf.distribute.experimental.partitioners.FixedShardsPartitioner(99))
    refuses(ValueError, "cuts dense weights", run, made("sgd", strategy), data)
    with strategy.scope():
        stock = compiled(make(), keras.optimizers.Adagrad(0.1))
        averaged = compiled(make(), optimizers.SGD(0.1, use_ema=True))
    refuses(ValueError, "Adagrad cannot update tables", run, stock, data)
    refuses(ValueError, "averages of tables are not kept", run, averaged, data)


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (weights, one_worker, counting, checkpoints, positions, filling, refused)
}


if __name__ == "__main__":
    with xla_disabled():
        SCENARIOS[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else None)
