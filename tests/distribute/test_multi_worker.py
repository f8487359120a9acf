"""Two workers in two processes: every form, every optimizer, and one of them killed."""

import numpy as np

from tests.distribute.multi_worker_process import PAIRS, trained_on_managed_ids
from tests.support.data import as_form, dataset_with_repeated_ids
from tests.support.processes import run
from tests.support.training import trained
from tfrec_models import native, xla_disabled


def test_two_workers(tmp_path):
    """All that needs a pair of processes, in one test: pytest-xdist would start a pair for each.

    Weights equal one device's, with the native kernels where they can be compiled; a checkpoint
    that only the chief sees is refused; the chief is killed in a save, the other raises, and a
    restart ends with weights equal to the bit.
    """
    chief, other = run("tests.distribute.multi_worker_process", tmp_path, workers=2)
    for rank, worker in enumerate((chief, other)):
        assert (tmp_path / f"found_{rank}.npz").exists(), worker.stdout[-3000:]
    found = [np.load(tmp_path / f"found_{rank}.npz") for rank in range(2)]
    check_against_one_device(found)
    for each in found:
        used = {"TfrecPooledLookup", "TfrecUpdateRows"} & set(each["native"])
        assert len(used) == (2 if native.is_native_available() else 0)

    for rank in range(2):
        message = (tmp_path / f"refused_{rank}").read_text()
        assert "(epoch, step) is [[2, 0], [-1, -1]] in their order, -1 for none" in message

    assert chief.returncode == -9, chief.stdout[-3000:]
    assert other.returncode == 1, other.stdout[-3000:]
    assert "Collective ops is aborted" in other.stdout
    assert (tmp_path / "killed" / "ckpt-3.data-00000-of-00001").read_bytes() == b"half"
    again = tmp_path / "again.npz"
    for worker in run("tests.distribute.interrupted_run", tmp_path / "killed", again, workers=2):
        assert worker.returncode == 0, worker.stdout[-3000:]
    whole, resumed = np.load(tmp_path / "whole.npz"), np.load(again)
    assert whole.files == resumed.files
    for name in whole.files:
        np.testing.assert_array_equal(resumed[name], whole[name], err_msg=name)


def check_against_one_device(found_by_worker):
    """20 steps with each optimizer on the same global batches: equal to 1e-6 on both workers.

    With managed ids the map too, from which ids are evicted all the time.

    9 examples in batches of 4 leave the second worker without any in the last one; both get all
    predictions in order.
    """
    for optimizer, form in PAIRS.items():
        with xla_disabled():
            model = trained(as_form(form, dataset_with_repeated_ids(8)), optimizer)
            uneven = as_form(form, dataset_with_repeated_ids(9))
            logits = np.concatenate([model(inputs).numpy() for inputs, _ in uneven])
        for found in found_by_worker:
            for number, variable in enumerate(model.weights):
                there = found[f"{optimizer}/{number}"]
                np.testing.assert_allclose(there, variable.numpy(), atol=1e-6, err_msg=optimizer)
            np.testing.assert_allclose(found[f"{form}/predicted"], logits, atol=1e-5)
            assert np.isfinite(found[f"{form}/loss"])
    with xla_disabled():
        managed = trained_on_managed_ids()
    ids, _ = managed.embedding_bag_collection.ids_of("t2")
    assert len(ids) == 6
    for number, variable in enumerate(managed.weights):
        for found in found_by_worker:
            there = found[f"managed/{number}"]
            np.testing.assert_allclose(there, variable.numpy(), atol=1e-6, err_msg=variable.path)
