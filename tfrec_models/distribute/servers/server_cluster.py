"""The cluster of a parameter-server run: coordinator, workers and servers."""

import os
from typing import Any

import tensorflow as tf

from tfrec_models.distribute.tf_config import read_task, wait_for

_JOBS = ("chief", "worker", "ps")
_EXAMPLE = (
    '{"cluster": {"chief": ["10.0.0.1:2222"], "worker": ["10.0.0.1:2223"], '
    '"ps": ["10.0.0.2:2222", "10.0.0.3:2222"]}, "task": {"type": "chief", "index": 0}}'
)


def server_strategy(
    variable_partitioner: Any = None, timeout_seconds: float = 300, cluster: Any = None
) -> tf.distribute.Strategy:
    """Returns a `ParameterServerStrategy`, once all workers and servers answer.

    For the chief, the process that calls `fit_on_servers`; all others call `run_server`.
    TensorFlow's own constructor waits for an unreachable peer for an hour or without end.

    Args:
        variable_partitioner: how variables are cut, such as
            `tf.distribute.experimental.partitioners.MinSizePartitioner(16 << 20, max_shards=4)`.
            Only tables may be cut: set the smallest size of a piece above that of every dense
            weight. Without it each variable lies whole on one server.
        timeout_seconds: float, how long to wait for workers and servers.
        cluster: dict from "worker" and "ps" to lists of addresses, in place of TF_CONFIG.

    Raises:
        ValueError: if TF_CONFIG is missing or wrong, or this is not its chief.
        TimeoutError: if a worker or server does not answer in time.

    Example:

    >>> from tfrec_models.distribute import server_strategy
    >>> server_strategy(cluster={"worker": ["10.0.0.1:2222"]})
    Traceback (most recent call last):
        ...
    ValueError: A cluster needs at least one "ps" and one "worker", received ...
    """
    if cluster is None:
        task = read_task(os.environ.get("TF_CONFIG"), _EXAMPLE, _JOBS)
        cluster, job = task.cluster, task.job
        if job != "chief":
            raise ValueError(f'Only the "chief" trains; this is a {job!r}: call run_server().')
    _check_cluster(cluster)
    wait_for(
        [*cluster["ps"], *cluster["worker"]],
        timeout_seconds,
        "Start all workers and servers of the cluster, and check that this machine can reach them.",
    )
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({job: list(cluster[job]) for job in ("worker", "ps")}),
        rpc_layer="grpc",
    )
    return tf.distribute.ParameterServerStrategy(resolver, variable_partitioner)


def run_server() -> None:
    """Serves as the "worker" or "ps" that TF_CONFIG says this is, until it is killed.

    Let whatever starts processes on the machine start a worker again when it dies: the run waits
    for it and continues. When a server dies the run ends with an error: start everything again.

    Raises:
        ValueError: if TF_CONFIG is missing or wrong.
    """
    task = read_task(os.environ.get("TF_CONFIG"), _EXAMPLE, _JOBS)
    cluster, job = task.cluster, task.job
    if job not in ("worker", "ps"):
        raise ValueError(f'run_server() is for a "worker" or "ps"; TF_CONFIG says {job!r}.')
    _check_cluster(cluster)
    # As the coordinator does: without the chief, which serves nothing.
    spec = tf.train.ClusterSpec({name: list(cluster[name]) for name in ("worker", "ps")})
    start_server(spec, job, task.index).join()


def start_server(spec, job, index):
    """Starts a `tf.distribute.Server` with as many threads as may wait for each other.

    One for each worker and one more: with fewer, as on a machine of few cores, steps that wait for
    another worker's can keep that one from ever running.
    """
    threads = max(os.cpu_count() or 1, 2 * spec.num_tasks("worker") + 2)
    config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=threads)
    return tf.distribute.Server(
        spec, job_name=job, task_index=index, protocol="grpc", config=config
    )


def _check_cluster(cluster):
    if not cluster.get("ps") or not cluster.get("worker"):
        raise ValueError(f'A cluster needs at least one "ps" and one "worker", received {cluster}.')
