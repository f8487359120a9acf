"""A cluster of parameter servers in one process, and the models its scenarios train on it."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from tests.support.models import ROWS, make_dlrm
from tests.support.processes import free_ports
from tests.support.training import OPTIMIZERS as MIRRORED
from tfrec_models import optimizers
from tfrec_models.distribute import server_strategy
from tfrec_models.distribute.servers.server_cluster import start_server

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


def made(optimizer, strategy=None, weights=None, metrics=None, new_model=make_dlrm):
    """A compiled model; the optimizer is one of `OPTIMIZERS` or a function that makes one."""
    keras.utils.set_random_seed(5)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = new_model()
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(OPTIMIZERS.get(optimizer, optimizer)(), loss, metrics=metrics and metrics())
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
