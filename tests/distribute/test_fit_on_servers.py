"""Training on parameter servers; see `server_cluster` for the scenarios.

Killed workers and servers are in benchmarks/kill_servers.py.
"""

import pytest

from tests.support import processes
from tests.support.data import as_form, dataset, ids_in_both_halves
from tfrec_models.distribute.servers.resume_position import resume_position


@pytest.mark.parametrize(
    ("workers", "scenarios"),
    [
        (1, ["one_worker", "checkpoints", "positions", "filling"]),
        (4, ["weights", "counting", "refused"]),
    ],
    ids=["one_worker", "several_workers"],
)
def test_scenarios(workers, scenarios, tmp_path):
    """Each scenario's own checks hold; its docstring says what it proves."""
    (ended,) = processes.run("tests.distribute.server_cluster", workers, tmp_path, *scenarios)
    assert ended.returncode == 0, ended.stdout[-5000:]
    for scenario in scenarios:
        assert f"{scenario} passed" in ended.stdout


def test_steps_before():
    """Counted by the checkpoint; one that counts none had epochs as long as those of this run."""
    position = {"epoch": 2, "step": 3, "stopped": False}
    assert resume_position(position, 5, "run") == {**position, "steps": 2 * 5 + 3}
    assert resume_position({**position, "steps": 11}, 5, "run") == {**position, "steps": 11}
    assert resume_position(position, 3, "run") == {
        "epoch": 3,
        "step": 0,
        "stopped": False,
        "steps": 9,
    }


@pytest.mark.parametrize("form", ["dict", "ids"])
def test_ids_are_repeated_in_a_batch(form):
    """The batches that scenarios compare with one device have the same ids in several examples."""
    for examples in (8, 160):
        for inputs, _ in as_form(form, dataset(examples, batch=8)):
            assert ids_in_both_halves(inputs) >= 2
