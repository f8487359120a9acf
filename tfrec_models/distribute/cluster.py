"""Workers of a MultiWorkerMirroredStrategy: they find each other and agree before they train."""

import json
import os
import socket
from typing import Any

import tensorflow as tf

from tfrec_models._compat.keras import is_made_in, strategy_of_optimizer
from tfrec_models.distribute.tf_config import read_task, wait_for
from tfrec_models.optimizers.unwrap import optimizer_parts

_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def multi_worker_strategy(timeout_seconds: float = 300, **keywords: Any) -> tf.distribute.Strategy:
    """Returns a `MultiWorkerMirroredStrategy`, once all workers of TF_CONFIG are there.

    TensorFlow's own constructor waits for its peers for an hour or without end, uninterruptibly.
    Here each worker first listens at its own address and calls the others until they answer.

    Once training runs, TensorFlow itself notices a worker that died: its connections are reset at
    once, or its heartbeat has been missing for some 20 seconds, and all others raise an error.
    Start all workers again then; `tfrec_models.distribute.fit` continues from the last checkpoint.

    Call it first of all: TensorFlow must know its cluster before any tensor is made.

    Args:
        timeout_seconds: float, how long to wait for the other workers.
        **keywords: those of `tf.distribute.MultiWorkerMirroredStrategy`.

    Raises:
        ValueError: if TF_CONFIG is missing or wrong, or has another machine's index.
        TimeoutError: if a worker does not answer in time.

    Example:

    >>> import os
    >>> from tfrec_models.distribute import multi_worker_strategy
    >>> os.environ["TF_CONFIG"] = '{"cluster": {"worker": ["10.0.0.1:2222"]}, "task": {}}'
    >>> multi_worker_strategy()
    Traceback (most recent call last):
        ...
    ValueError: TF_CONFIG must have a task with a type and an index, such as ...
    >>> del os.environ["TF_CONFIG"]
    """
    addresses, own = workers_of(os.environ.get("TF_CONFIG"))
    if len(addresses) > 1:
        _wait_for_peers(addresses, own, timeout_seconds)
    return tf.distribute.MultiWorkerMirroredStrategy(**keywords)


def workers_of(tf_config):
    """Returns the addresses of all workers, chief first, and which of them is this one.

    Raises:
        ValueError: if TF_CONFIG is missing or wrong.
    """
    task = read_task(tf_config, _EXAMPLE, ("chief", "worker"))
    own = task.index if task.job == "chief" else len(task.cluster["chief"]) + task.index
    return [*task.cluster["chief"], *task.cluster["worker"]], own


def check_strategy(model):
    """Raises ValueError if the model was not made in the scope it was meant to train in."""
    strategy = model.distribute_strategy
    current = tf.distribute.get_strategy()
    if tf.distribute.has_strategy() and not is_made_in(model, current):
        raise ValueError(
            f"{model.name} was made outside the scope of {type(current).__name__}, so it would "
            "train on one device. Make and compile it inside `with strategy.scope():`."
        )
    is_multi_worker = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    if len(cluster.get("worker", [])) + len(cluster.get("chief", [])) > 1 and not is_multi_worker:
        raise ValueError(
            f"TF_CONFIG names several workers, but {model.name} was made outside the scope of a "
            "MultiWorkerMirroredStrategy, so each would train by itself. Make and compile it "
            "inside `with multi_worker_strategy().scope():`."
        )


def check_optimizer_scope(model):
    """Raises ValueError if the optimizer, or a part of it, was made for another strategy."""
    ours = model.distribute_strategy
    for part in optimizer_parts(model.optimizer):
        theirs = strategy_of_optimizer(part)
        if theirs is not ours:
            raise ValueError(
                f"The optimizer {part.name} was made under {type(theirs).__name__}, but "
                f"{model.name} under {type(ours).__name__}. Make model and optimizer, and compile, "
                "inside `with strategy.scope():`."
            )


def check_variables(strategy, variables):
    """Raises ValueError unless all variables, the optimizer's too, were made in the scope."""
    for name, variable in variables.items():
        if not strategy.extended.variable_created_in_scope(variable):
            raise ValueError(
                f"Variable {name} was made outside the scope of {type(strategy).__name__}. Make "
                "model and optimizer, and compile, inside `with strategy.scope():`."
            )


def check_agreement(strategy, position, directory):
    """Raises ValueError unless all workers begin at the same position."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    here = [-1, -1] if position is None else [position["epoch"], position["step"]]
    value = strategy.run(lambda: tf.constant([here], tf.int64))
    everywhere = strategy.gather(value, axis=0).numpy().tolist()
    if any(there != here for there in everywhere):
        raise ValueError(
            f"The workers found different checkpoints in {directory}: (epoch, step) is "
            f"{everywhere} in their order, -1 for none. The directory must be one that all share."
        )


def _wait_for_peers(addresses, own, timeout_seconds):
    missing = [address for number, address in enumerate(addresses) if number != own]
    port = int(addresses[own].rpartition(":")[2])
    # Before this process listens: else the one whose index this is takes it for its peer.
    for address in missing:
        host, _, peer_port = address.rpartition(":")
        if int(peer_port) == port and _is_this_machine(host):
            raise ValueError(
                f"TF_CONFIG says that this is {addresses[own]}, but {address}, another worker, is "
                "this machine as well. Give each machine the index of its own address."
            )
    with socket.create_server(("", port)):
        wait_for(
            missing,
            timeout_seconds,
            f"Start all workers of TF_CONFIG, {addresses}, and check that each can reach the "
            "others.",
        )


def _is_this_machine(host):
    """Whether one can listen at a host, at some port."""
    try:
        socket.create_server((host.strip("[]"), 0)).close()
    except OSError:
        return False
    return True
