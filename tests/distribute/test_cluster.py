"""TF_CONFIG read and checked, peers that do not come: errors in bounded time."""

import socket
import time

import pytest

from tests.support.processes import free_ports
from tfrec_models.distribute import multi_worker_strategy
from tfrec_models.distribute.cluster import workers_of

TWO = '{"cluster": {"worker": ["a:1", "b:2"]}, "task": '
BAD_CONFIGS = {
    None: "TF_CONFIG is not set. Set it on each machine, for instance to",
    "{": r"TF_CONFIG must be JSON such as .* received \{",
    '{"task": {"type": "worker", "index": 0}}': "TF_CONFIG must be JSON such as",
    TWO + "{}}": r"must have a task with a type and an index, .*; received \{\}",
    TWO + '{"type": "worker", "index": 2}}': (
        r"this is task 2 of job 'worker', but its cluster has \{'chief': 0, 'worker': 2\}"
    ),
    TWO + '{"type": "worker", "index": "0"}}': "this is task '0' of job 'worker'",
    TWO + '{"type": "ps", "index": 0}}': "this is task 0 of job 'ps'",
    '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}': (
        "has the address 'a'; it must be host:port"
    ),
}


@pytest.mark.parametrize("config", BAD_CONFIGS)
def test_bad_tf_config(config, monkeypatch):
    """Each says what was received and what was expected."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=BAD_CONFIGS[config]):
        multi_worker_strategy()


def test_chief_comes_first():
    """The number of this worker counts the chief."""
    cluster = '{"cluster": {"worker": ["a:1", "b:2"], "chief": ["c:3"], "ps": ["d:4"]}, "task": '
    assert workers_of(cluster + '{"type": "worker", "index": 1}}') == (["c:3", "a:1", "b:2"], 2)


def test_a_peer_that_does_not_come(monkeypatch):
    """An error that names it, after the time that was given, before TensorFlow waits for ever."""
    here, there = (f"127.0.0.1:{port}" for port in free_ports(2))
    cluster = f'{{"cluster": {{"worker": ["{here}", "{there}"]}}, "task": '
    monkeypatch.setenv("TF_CONFIG", cluster + '{"type": "worker", "index": 0}}')
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=rf"No answer from \['{there}'\] within 0.2 seconds"):
        multi_worker_strategy(timeout_seconds=0.2)
    assert time.monotonic() - start < 30
    # The address is free again.
    socket.create_server(("127.0.0.1", int(here.split(":")[1]))).close()


def test_the_index_of_another_machine(monkeypatch):
    """The address of a peer that is this machine's own: TensorFlow would wait for ever."""
    (port,) = free_ports(1)
    cluster = f'{{"cluster": {{"worker": ["localhost:{port}", "127.0.0.1:{port}"]}}, "task": '
    monkeypatch.setenv("TF_CONFIG", cluster + '{"type": "worker", "index": 0}}')
    message = f"this is localhost:{port}, but 127.0.0.1:{port}, another worker, is this machine"
    with pytest.raises(ValueError, match=message):
        multi_worker_strategy(timeout_seconds=60)
