"""Training on parameter servers; see `server_cluster` for the scenarios."""

import pathlib
import subprocess
import sys

import pytest

from tests.distribute import processes

KILL = pathlib.Path(__file__).parents[2] / "benchmarks" / "kill_servers.py"


@pytest.mark.parametrize(
    "scenario",
    ["weights", "one_worker", "counting", "checkpoints", "positions", "filling", "refused"],
)
def test_scenario(scenario, tmp_path):
    """The scenario's own checks hold; its docstring says what it proves."""
    (ended,) = processes.run("tests.distribute.server_cluster", scenario, tmp_path / "run")
    assert ended.returncode == 0, ended.stdout[-5000:]


def test_a_killed_worker_comes_back():
    """SIGKILL of a worker at a random step: every update is in the weights, at most one twice."""
    command = [sys.executable, str(KILL), "--moments", "1", "--steps", "120", "--jobs", "worker"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=processes.TIMEOUT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
