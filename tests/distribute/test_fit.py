"""`distribute.fit`: a run that was stopped anywhere ends as one that never was."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.distribute import interrupted_run
from tests.support.processes import run
from tests.support.stopped_runs import (
    DATASETS,
    StopAfter,
    Stopped,
    assert_equal,
    examples,
    make_model,
    run_to_the_end,
)
from tfrec_models.distribute import fit
from tfrec_models.distribute.epoch_data import EpochData
from tfrec_models.optimizers import CompositeOptimizer


@pytest.mark.parametrize("kind", DATASETS)
def test_resumed_equals_whole(kind, tmp_path):
    """Stopped three times (before the first save, in two epochs): equal to the bit."""
    whole = run_to_the_end(tmp_path / "whole", [], DATASETS[kind])
    assert_equal(run_to_the_end(tmp_path / "resumed", [1, 8, 3], DATASETS[kind]), whole)


def test_with_averages_and_a_schedule(tmp_path):
    """Moving averages replace the weights once, at the end; the rate is halved once an epoch."""

    def variables(name, stops):
        return run_to_the_end(
            tmp_path / name,
            stops,
            DATASETS["shuffled anew each epoch"],
            callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)],
            use_ema=True,
        )

    whole = variables("whole", [])
    np.testing.assert_allclose(whole["adam/learning_rate"], 0.1 / 8, rtol=1e-6)
    assert_equal(variables("resumed", [8]), whole)


def test_resumed_equals_whole_on_two_devices(tmp_path, two_devices):
    """The same under MirroredStrategy."""
    data = DATASETS["shuffled anew each epoch"]
    whole = run_to_the_end(tmp_path / "whole", [], data, two_devices)
    assert_equal(run_to_the_end(tmp_path / "resumed", [8], data, two_devices), whole)


def test_steps_per_execution(tmp_path):
    """Several steps in one call of Keras; a number that does not fit the position is refused."""
    data = DATASETS["endless"]

    def variables(name, stops):
        return run_to_the_end(tmp_path / name, stops, data, steps_per_execution=2)

    assert_equal(variables("resumed", [2]), variables("whole", []))
    other = {"dataset": examples().batch(4), "checkpoint_directory": tmp_path / "o", "verbose": 0}
    with pytest.raises(Stopped):
        fit(make_model(), **other, save_every=1, callbacks=[StopAfter(2)])
    message = "saved after step 1 of an epoch, which is no multiple of steps_per_execution=2. Comp"
    with pytest.raises(ValueError, match=message):
        fit(make_model(steps_per_execution=2), **other)


def test_killed_in_a_save(tmp_path):
    """SIGKILL with half a checkpoint on the disk; a fresh process ends as if nothing was."""
    module = "tests.distribute.interrupted_run"
    (killed,) = run(module, tmp_path / "killed", tmp_path / "resumed.npz", 4)
    assert killed.returncode == -9, killed.stdout[-3000:]
    assert (tmp_path / "killed" / "ckpt-4.data-00000-of-00001").read_bytes() == b"half"
    (ended,) = run(module, tmp_path / "killed", tmp_path / "resumed.npz")
    assert ended.returncode == 0, ended.stdout[-3000:]
    whole = tf.distribute.get_strategy(), tmp_path / "whole", tmp_path / "whole.npz"
    interrupted_run.train(*whole)
    assert not (tmp_path / "killed" / "ckpt-4_temp").exists()
    resumed, whole = np.load(tmp_path / "resumed.npz"), np.load(tmp_path / "whole.npz")
    assert_equal(dict(resumed), dict(whole))


def test_finished_and_stopped_runs_stay_so(tmp_path):
    """Run again, both return at once with the weights they ended with."""
    for name, callbacks in {
        "finished": [],
        "stopped": [keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)],
    }.items():
        data = DATASETS["function of the epoch"]()
        arguments = {"checkpoint_directory": tmp_path / name, "epochs": 3, "verbose": 0}
        first, second = make_model(), make_model()
        epochs = fit(first, **data, **arguments, callbacks=callbacks).epoch
        assert epochs == ([0, 1, 2] if name == "finished" else [0, 1])
        assert fit(second, **data, **arguments).epoch == []
        for one, two in zip(first.get_weights(), second.get_weights(), strict=True):
            np.testing.assert_array_equal(two, one)


def test_epochs_are_opened_once_each():
    """Keras asks for iterators that it does not use; a shuffled dataset would count them."""
    dataset = tf.data.Dataset.range(6).shuffle(6, seed=1).batch(2)
    data = EpochData(dataset, tf.distribute.get_strategy())
    assert len(list(data)) == 1
    orders = []
    for epoch in range(3):
        data.begin(epoch)
        orders.append([batch.numpy().tolist() for batch in data])
        assert list(data) == []
    later = EpochData(tf.data.Dataset.range(6).shuffle(6, seed=1).batch(2),
                      tf.distribute.get_strategy())  # fmt: skip
    later.begin(2)
    assert [batch.numpy().tolist() for batch in later] == orders[2]
    assert orders[0] != orders[1] != orders[2]


def test_other_data_is_refused(tmp_path):
    """A shuffle without a seed, or another batch size, cannot go on exactly."""
    fit(make_model(), examples().batch(4), tmp_path, verbose=0)
    with pytest.raises(ValueError, match="does not begin with the batch that the run in"):
        fit(make_model(), examples().batch(6), tmp_path, epochs=2, verbose=0)


def test_data_that_became_shorter_is_refused(tmp_path):
    """It says how many batches are missing, whether Keras knew the length or not."""
    data = examples().batch(4)
    with pytest.raises(Stopped):
        fit(make_model(), data, tmp_path, save_every=1, verbose=0, callbacks=[StopAfter(4)])
    with pytest.raises(ValueError, match="ended 2 batches before the step"):
        fit(make_model(), data.take(1), tmp_path, verbose=0)
    unknown = data.take(1).filter(lambda *_: True)
    with pytest.raises(ValueError, match="ended 2 batches before the step"):
        fit(make_model(), unknown, tmp_path, verbose=0)


def test_a_worker_that_fails_limits_its_exit(tmp_path, monkeypatch):
    """Else a lost peer's error could keep a process from ending, with `from_generator` data."""
    # fit asks whether there are several machines; one device answers for them.
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", tf.distribute.Strategy)
    limits = []
    monkeypatch.setattr(sys.modules[fit.__module__], "limit_exit", lambda: limits.append(1))
    model, data = make_model(), examples().batch(4)
    with pytest.raises(Stopped):
        fit(model, data, tmp_path, epochs=3, validation_data=data, callbacks=[StopAfter(7)])
    assert limits == [1]
    assert model._eval_epoch_iterator is None


def test_an_exit_that_hangs_ends_in_time():
    """What waits at exit for good is ended by the watchdog, which shows where it was."""
    script = (
        "import atexit, threading\n"
        "from tfrec_models.distribute.watchdog import limit_exit\n"
        "atexit.register(threading.Event().wait)\n"
        "limit_exit(0.5)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr


def test_bad_arguments(tmp_path):
    """Each says what was received and what to do."""
    with pytest.raises(ValueError, match="save_every must be at least 1 step or None, received 0"):
        fit(make_model(), examples().batch(4), tmp_path, save_every=0)
    with pytest.raises(TypeError, match=r"dataset must be a tf.data.Dataset .* received list"):
        fit(make_model(), [], tmp_path)
    with pytest.raises(ValueError, match="The dataset has no batch"):
        fit(make_model(), examples().batch(4).take(0), tmp_path)
    with pytest.raises(ValueError, match="steps_per_epoch is for one dataset"):
        fit(make_model(), lambda epoch: examples(), tmp_path, steps_per_epoch=2)


def test_models_and_batches_that_do_not_fit_the_strategy(tmp_path, two_devices, monkeypatch):
    """Made outside the scope, compiled outside of it, or fed with less than one example each."""
    data, outside = examples().batch(4), make_model()
    with (
        two_devices.scope(),
        pytest.raises(ValueError, match="outside the scope of MirroredStrategy"),
    ):
        fit(outside, data, tmp_path)
    compiled_outside = make_model(two_devices)
    compiled_outside.compile(CompositeOptimizer("adam", "sgd", "kernel"), "mse")
    message = (
        "The optimizer composite_optimizer.* was made under _DefaultDistributionStrategy, but "
        "sequential.* under MirroredStrategy. Make model and optimizer, and compile"
    )
    with pytest.raises(ValueError, match=message):
        fit(compiled_outside, data, tmp_path)
    layer = keras.layers.Dense(1)
    layer.build((None, 1))
    with two_devices.scope():
        partly = keras.Sequential([layer])
        partly.compile("sgd", "mse")
    message = "Variable dense.*/kernel was made outside the scope of MirroredStrategy. Make model"
    with pytest.raises(ValueError, match=message):
        fit(partly, data, tmp_path)
    with pytest.raises(ValueError, match="first batch has 1 examples for 2 replicas"):
        fit(make_model(two_devices), examples().batch(1), tmp_path)
    cluster = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'
    monkeypatch.setenv("TF_CONFIG", cluster)
    with pytest.raises(ValueError, match="TF_CONFIG names several workers, but sequential"):
        fit(make_model(), data, tmp_path)
