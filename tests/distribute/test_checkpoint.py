"""Checkpoints: what they hold, what they refuse, what happens to damaged ones."""

import os
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.distribute.sharded_variable import ShardedVariable

from tests.support.models import compiled, make_dlrm
from tfrec_models.distribute import TrainingCheckpoint, checkpoint, training_variables
from tfrec_models.optimizers import Adagrad, CompositeOptimizer, LazyAdam, RowWiseAdagrad


def table(rows=6):
    return tf.Variable(np.arange(2.0 * rows).reshape(rows, 2), dtype=tf.float32)


def values(variables):
    return {name: variable.numpy() for name, variable in variables.items()}


def test_weights_slots_and_position_come_back(tmp_path):
    """Into a model built a second time in the same process, whose layers have other numbers."""

    def new():
        optimizer = CompositeOptimizer(RowWiseAdagrad(0.1), LazyAdam(0.01))
        model = compiled(make_dlrm(), optimizer)
        model.build()
        return model, training_variables(model)

    (first, saved), (second, restored) = new(), new()
    assert first.name != second.name
    assert list(saved) == list(restored)
    rng = np.random.default_rng(0)
    for variable in saved.values():
        variable.assign(tf.cast(rng.integers(1, 100, variable.shape), variable.dtype))
    TrainingCheckpoint(saved, tmp_path).save({"epoch": 2, "step": 7})
    assert TrainingCheckpoint(restored, tmp_path).restore() == {"epoch": 2, "step": 7}
    expected = values(saved)
    for name, value in values(restored).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_the_seed_of_dropout_is_saved(tmp_path):
    """Random numbers go on where they stopped."""
    model = keras.Sequential([keras.Input((50,)), keras.layers.Dropout(0.5)])
    model.compile("sgd", "mse")
    saved = TrainingCheckpoint(training_variables(model), tmp_path)
    saved.save({})
    first = model(np.ones((1, 50)), training=True).numpy()
    assert not np.array_equal(model(np.ones((1, 50)), training=True), first)
    saved.restore()
    np.testing.assert_array_equal(model(np.ones((1, 50)), training=True), first)


def test_one_format_for_whole_and_sharded_variables(tmp_path):
    """Saved from three shards it loads into one variable, and the other way round."""
    shards = ShardedVariable([tf.Variable(tf.zeros((2, 2)), name=f"part_{i}") for i in range(3)])
    whole = table()
    TrainingCheckpoint({"table": whole}, tmp_path / "whole").save({})
    TrainingCheckpoint({"table": shards}, tmp_path / "whole").restore()
    parts = tf.concat([part.numpy() for part in shards.variables], 0)
    np.testing.assert_array_equal(parts, whole.numpy())
    shards.variables[1].assign_add(tf.ones((2, 2)))
    TrainingCheckpoint({"table": shards}, tmp_path / "shards").save({})
    TrainingCheckpoint({"table": whole}, tmp_path / "shards").restore()
    added = np.repeat([[0], [1], [0]], 2, axis=0)
    np.testing.assert_array_equal(whole, np.arange(12.0).reshape(6, 2) + added)


DAMAGES = {
    "the data is cut off": ("data-00000-of-00001", lambda old: old[: len(old) // 2]),
    "one bit of a table differs": (
        "data-00000-of-00001",
        lambda old: bytes([old[0] ^ 1]) + old[1:],
    ),
    "the data is missing": ("data-00000-of-00001", None),
    "the index is empty": ("index", lambda old: b""),
    "the index is cut off": ("index", lambda old: old[:-1]),
    "one bit of the index differs": ("index", lambda old: old[:9] + bytes([old[9] ^ 1]) + old[10:]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over(damage, tmp_path):
    """The one before is loaded, and a warning says so; with none before it is an error."""
    variable = table()
    saved = TrainingCheckpoint({"table": variable}, tmp_path)
    saved.save({"epoch": 1})
    variable.assign_add(tf.ones((6, 2)))
    newest = saved.save({"epoch": 2})
    suffix, change = DAMAGES[damage]
    file = tmp_path / f"{os.path.basename(newest)}.{suffix}"
    file.write_bytes(change(file.read_bytes())) if change else file.unlink()
    with pytest.warns(UserWarning, match=f"{newest} is damaged and was skipped"):
        assert saved.restore() == {"epoch": 1}
    np.testing.assert_array_equal(variable, np.arange(12.0).reshape(6, 2))
    for older in tmp_path.glob("ckpt-1.*"):
        older.unlink()
    with (
        pytest.warns(UserWarning, match="was skipped"),
        pytest.raises(OSError, match=r"None of the checkpoints in .* can be read"),
    ):
        saved.restore()


def test_another_model_is_refused_before_anything_changes(tmp_path):
    """The error lists what differs."""
    saved = {"table": table(), "bias": tf.Variable(1.0), "old": tf.Variable(0)}
    TrainingCheckpoint(saved, tmp_path).save({})
    ours = {"table": table(7), "bias": tf.Variable(2.0), "new": tf.Variable(0)}
    before = values(ours)
    message = (
        r"another model or optimizer: table is \(6, 2\) float32 in the checkpoint, \(7, 2\) "
        r"float32 here; old is \(\) int32 in the checkpoint, missing here; new is missing in the "
        r"checkpoint, \(\) int32 here\. Build and compile"
    )
    with pytest.raises(ValueError, match=message):
        TrainingCheckpoint(ours, tmp_path).restore()
    for name, value in values(ours).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_newer_format_is_refused(tmp_path, monkeypatch):
    """With the versions that wrote it."""
    saved = TrainingCheckpoint({"table": table()}, tmp_path)
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 99)
    saved.save({})
    monkeypatch.undo()
    with pytest.raises(ValueError, match=rf"has format 99, .*{tf.__version__}.* reads up to 1"):
        saved.restore()


def test_other_checkpoints_are_refused(tmp_path):
    """One that tf.train.Checkpoint wrote by itself."""
    tf.train.Checkpoint(table=table()).write(str(tmp_path / "ckpt-1"))
    with pytest.raises(ValueError, match="not one of tfrec_models.distribute"):
        TrainingCheckpoint({"table": table()}, tmp_path).restore()


def test_old_ones_are_deleted_and_leftovers_too(tmp_path):
    """`max_to_keep` are kept; the rest of a killed save goes when asked."""
    saved = TrainingCheckpoint({"table": table()}, tmp_path, max_to_keep=2)
    assert saved.restore() is None
    paths = [saved.save({"epoch": number}) for number in range(4)]
    (tmp_path / "ckpt-5_temp").mkdir()
    saved.delete_unfinished()
    assert saved.paths() == paths[2:]
    assert not list(tmp_path.glob("*_temp"))
    with pytest.raises(ValueError, match="max_to_keep must be at least 1, received 0"):
        TrainingCheckpoint({}, tmp_path, max_to_keep=0)


def _state(text):
    return lambda directory: (directory / "checkpoint").write_text(text)


LEFTOVERS = {
    "an empty state file": _state(""),
    "a state file of something else": _state("not a protocol buffer {"),
    "a state file that names what is gone": _state('model_checkpoint_path: "ckpt-7"'),
    "a state file that is not text": lambda directory: (directory / "checkpoint").write_bytes(
        b"\xff\x00\xfe"
    ),
    "no state file": lambda directory: (directory / "checkpoint").unlink(),
    "a file where a folder is made": lambda directory: (directory / "ckpt-4_temp").write_text(""),
    "a link to nowhere": lambda directory: (directory / "ckpt-4_temp").symlink_to("nowhere"),
    "a folder of a killed save": lambda directory: (directory / "ckpt-9_temp" / "part").mkdir(
        parents=True
    ),
    "data without an index": lambda directory: (
        directory / "ckpt-4.data-00000-of-00001"
    ).write_text("cut"),
    "a folder with the name of an index": lambda directory: (directory / "ckpt-9.index").mkdir(),
    "a folder with the name of a checkpoint": lambda directory: (directory / "ckpt-3").mkdir(),
    "names of other things": lambda directory: (directory / "ckpt-9.index.tempstate7").write_text(
        ""
    ),
}


@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_leftovers_do_not_stop_a_run(leftover, tmp_path):
    """The newest whole checkpoint is restored, saving goes on, and the old ones are deleted."""
    variable = table()
    saved = TrainingCheckpoint({"table": variable}, tmp_path)
    for epoch in range(3):
        variable.assign_add(tf.ones((6, 2)))
        saved.save({"epoch": epoch})
    expected = variable.numpy()
    LEFTOVERS[leftover](tmp_path)
    variable.assign(tf.zeros((6, 2)))
    again = TrainingCheckpoint({"table": variable}, tmp_path)
    assert again.restore() == {"epoch": 2}
    np.testing.assert_array_equal(variable, expected)
    again.delete_unfinished()
    assert not list(tmp_path.glob("*_temp"))
    assert os.path.basename(again.save({"epoch": 3})) == "ckpt-4"
    assert again.restore() == {"epoch": 3}
    assert [os.path.basename(path) for path in again.paths()] == ["ckpt-2", "ckpt-3", "ckpt-4"]
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "ckpt-4")


def test_a_damaged_checkpoint_is_written_over_and_counts_for_nothing(tmp_path):
    """Of two that are kept, both are whole."""
    saved = TrainingCheckpoint({"table": table()}, tmp_path, max_to_keep=2)
    for epoch in range(3):
        saved.save({"epoch": epoch})
    (tmp_path / "ckpt-3.index").write_bytes(b"")
    again = TrainingCheckpoint({"table": table()}, tmp_path, max_to_keep=2)
    with pytest.warns(UserWarning, match="ckpt-3 is damaged"):
        assert again.restore() == {"epoch": 1}
    assert os.path.basename(again.save({"epoch": 2})) == "ckpt-3"
    assert [os.path.basename(path) for path in again.paths()] == ["ckpt-2", "ckpt-3"]
    assert again.restore() == {"epoch": 2}


def test_saving_without_restoring_does_not_fall_behind(tmp_path):
    """A second run that begins anew in the same directory writes the newest checkpoint."""
    for number in range(2):
        for epoch in range(2):
            TrainingCheckpoint({"table": table()}, tmp_path).save({"run": number, "epoch": epoch})
    assert TrainingCheckpoint({"table": table()}, tmp_path).restore() == {"run": 1, "epoch": 1}


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path):
    """On a file system of 1 MB: the second save fails, says so, and the first loads."""
    size = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if os.name != "posix" or subprocess.run(size, capture_output=True, check=False).returncode:
        pytest.skip("Mounting a small file system is not allowed here.")
    try:
        variable = tf.Variable(tf.ones(150_000))
        saved = TrainingCheckpoint({"table": variable}, tmp_path / "run")
        first = saved.save({"epoch": 1})
        variable.assign_add(tf.ones(150_000))
        with pytest.raises(OSError, match=rf"could not be written .* last good one is {first}\."):
            saved.save({"epoch": 2})
        assert {path.name for path in (tmp_path / "run").iterdir()} == {
            "checkpoint",
            "ckpt-1.index",
            "ckpt-1.data-00000-of-00001",
        }
        assert saved.restore() == {"epoch": 1}
        assert variable.numpy().max() == 1.0
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_names_do_not_depend_on_what_was_built_before():
    """Counters go; what becomes equal is told apart by its order."""
    paths = ["dlrm_3/linear_7/kernel", "dlrm_3/linear_8/kernel", "adam_2/iteration"]
    expected = ["dlrm/linear/kernel", "dlrm/linear/kernel:1", "adam/iteration"]
    assert checkpoint.checkpoint_names(paths) == expected


def test_needs_a_model_that_is_ready():
    """Built and compiled."""
    with pytest.raises(ValueError, match="built is False, compiled is False"):
        training_variables(make_dlrm())
    model = compiled(make_dlrm(), Adagrad(0.1))
    model.build()
    assert training_variables(model)
