"""Training on parameter servers; see `server_cluster` for the scenarios.

Killed workers and servers are in benchmarks/kill_servers.py.
"""

import pytest

from tests.distribute import processes


@pytest.mark.parametrize(
    "scenario",
    ["weights", "one_worker", "counting", "checkpoints", "positions", "filling", "refused"],
)
def test_scenario(scenario, tmp_path):
    """The scenario's own checks hold; its docstring says what it proves."""
    (ended,) = processes.run("tests.distribute.server_cluster", scenario, tmp_path / "run")
    assert ended.returncode == 0, ended.stdout[-5000:]
