"""Scenarios on parameter servers, each in a process of its own with its cluster in threads.

    python -m tests.distribute.server_cluster SCENARIO [DIRECTORY]

TensorFlow connects a process to one cluster for good, so that the tests cannot do it themselves.
"""

import contextlib
import sys

import keras
import numpy as np
import tensorflow as tf

from tests.distribute.processes import free_ports
from tests.distribute.test_mirrored_strategy import OPTIMIZERS as MIRRORED
from tests.distribute.test_mirrored_strategy import as_form
from tests.dlrm.test_dlrm import ROWS, compiled, dataset, make
from tfrec_models import optimizers, xla_disabled
from tfrec_models.distribute import (
    TrainingCheckpoint,
    fit_on_servers,
    server_strategy,
    training_variables,
)
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
            tf.distribute.Server(spec, job_name=job, task_index=index, protocol="grpc")
    return server_strategy(partitioner, timeout_seconds=20, cluster=cluster)


def made(optimizer, strategy=None, weights=None):
    keras.utils.set_random_seed(5)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = compiled(make(), OPTIMIZERS[optimizer]())
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


def weights(directory):
    """20 steps for each optimizer and form equal one device; slots lie beside their rows."""
    strategy = start()
    forms = ("dict", "packed", "kjt", "ids")
    for (name, _), form in zip(OPTIMIZERS.items(), forms, strict=True):
        batches = as_form(form, dataset(8))
        alone = made(name)
        first = [v.numpy() for v in alone.variables]
        served = made(name, strategy, first)
        tables = served.embedding_bag_collection.table_variables
        assert all(is_sharded(table.value) for table in tables)
        alone.fit(batches, epochs=10, shuffle=False, verbose=0)
        history = fit_on_servers(
            served,
            lambda form=form: as_form(form, dataset(8)),
            epochs=10,
            steps_per_epoch=2,
            max_pending=1,
            verbose=0,
        )
        assert len(history.history["loss"]) == 10
        difference = largest_difference(alone, served)
        assert difference < 1e-6, (name, difference)
        slots = training_variables(served)
        cut = {key: slot for key, slot in slots.items() if is_sharded(slot)}
        for slot in cut.values():
            where = [shard.device for shard in shards(slot)]
            assert where in [[shard.device for shard in shards(t.value)] for t in tables]
            assert len(set(where)) == 2
        print(name, form, difference, len(cut))


SCENARIOS = {scenario.__name__: scenario for scenario in (weights,)}


if __name__ == "__main__":
    with xla_disabled():
        SCENARIOS[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else None)
