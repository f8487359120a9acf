"""Two workers in two processes: every form, every optimizer, and one of them killed."""

import numpy as np
import pytest

from tests.distribute.multi_worker_process import PAIRS
from tests.distribute.processes import run
from tests.distribute.test_mirrored_strategy import as_form, dataset, trained
from tfrec_models import xla_disabled


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The directory two workers wrote their results to, and how they ended."""
    directory = tmp_path_factory.mktemp("workers")
    return directory, run("tests.distribute.multi_worker_process", directory, workers=2)


def test_weights_equal_one_device(pair):
    """20 steps with each optimizer on the same global batches: equal to 1e-6 on both workers."""
    directory, ended = pair
    for rank, worker in enumerate(ended):
        assert (directory / f"found_{rank}.npz").exists(), worker.stdout[-3000:]
        found = np.load(directory / f"found_{rank}.npz")
        for optimizer, form in PAIRS.items():
            with xla_disabled():
                model = trained(as_form(form, dataset(8)), optimizer)
            for number, variable in enumerate(model.weights):
                here = variable.numpy()
                there = found[f"{optimizer}/{number}"]
                np.testing.assert_allclose(there, here, atol=1e-6, err_msg=variable.path)
            logits = np.concatenate(
                [model(inputs).numpy() for inputs, _ in as_form(form, dataset(9))]
            )
            # 9 examples in batches of 4 leave the second worker without any in the last one.
            np.testing.assert_allclose(found[f"{form}/predicted"], logits, atol=1e-5)
            assert np.isfinite(found[f"{form}/loss"])


def test_a_directory_that_only_the_chief_sees_is_refused(pair):
    """Every worker says what each of them found; nobody trains with other weights."""
    directory, _ = pair
    for rank in range(2):
        message = (directory / f"refused_{rank}").read_text()
        assert "(epoch, step) is [[2, 0], [-1, -1]] in their order, -1 for none" in message


def test_a_killed_worker_ends_the_run_and_a_restart_finishes_it(pair):
    """The chief is killed in a save: the other raises, both start again, weights equal to the bit.

    Half a checkpoint lies in the directory then, and is not read.
    """
    directory, (chief, other) = pair
    assert chief.returncode == -9, chief.stdout[-3000:]
    assert other.returncode == 1, other.stdout[-3000:]
    assert "Collective ops is aborted" in other.stdout
    assert (directory / "killed" / "ckpt-3.data-00000-of-00001").read_bytes() == b"half"

    again = directory / "again.npz"
    for worker in run("tests.distribute.interrupted_run", directory / "killed", again, workers=2):
        assert worker.returncode == 0, worker.stdout[-3000:]
    whole, resumed = np.load(directory / "whole.npz"), np.load(again)
    assert whole.files == resumed.files
    for name in whole.files:
        np.testing.assert_array_equal(resumed[name], whole[name], err_msg=name)
