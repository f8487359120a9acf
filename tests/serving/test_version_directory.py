"""Versions appear whole, whatever fails and whoever writes beside."""

import concurrent.futures
import os
import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tests.support.serving import batch
from tfrec_models.serving import RequestWriter
from tfrec_models.serving.artifact import Artifact
from tfrec_models.serving.signatures import SIGNATURES
from tfrec_models.serving.version_directory import new_version, whole_directory


def write(directory, version=None):
    """Writes a version of two files."""
    with new_version(directory, version) as pending:
        for name in ("a", "b"):
            (pending.path / name).write_text("whole")
    return int(pending.final_path.name)


def test_nothing_is_left_of_a_failure(tmp_path):
    """Neither a version nor what was written of it."""
    with pytest.raises(OSError, match="disk full"), new_version(tmp_path) as pending:
        (pending.path / "a").write_text("half")
        raise OSError("disk full")
    assert not list(tmp_path.iterdir())


def test_concurrent_exporters_get_numbers_of_their_own(tmp_path):
    """Eight at once write eight versions."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda _: write(tmp_path), range(24)))
    assert sorted(versions) == list(range(1, 25))
    assert {path.name for path in tmp_path.iterdir()} == {str(version) for version in versions}


def test_a_given_version_is_taken_once(tmp_path):
    """Of two exporters with the same number one is told that it is there."""

    def attempt(_):
        try:
            return write(tmp_path, 3)
        except FileExistsError:
            return None

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sorted(map(str, pool.map(attempt, range(4)))) == ["3", "None", "None", "None"]


@pytest.mark.parametrize("directory", [None, 7, b"bytes"])
def test_a_directory_that_is_no_path_is_refused(directory):
    """By the name of the argument."""
    kind = type(directory).__name__
    with pytest.raises(TypeError, match=f"directory must be a path.*received {kind}"):
        write(directory)


def test_a_directory_that_cannot_be_one_is_refused(tmp_path, monkeypatch):
    """A file, what lies below a file, and no name at all, which would be the current directory."""
    (tmp_path / "file").write_text("mine")
    for path in ("file", "file/models"):
        with pytest.raises(ValueError, match="directory of all versions, received .* is a file"):
            write(tmp_path / path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="received an empty path. For the current directory"):
        write("")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def write_whole(filepath, text="whole"):
    """Writes a SavedModel of one file."""
    with whole_directory(filepath) as pending:
        (pending.path / "saved_model.pb").write_text(text)


def test_a_directory_by_name_is_replaced_whole(tmp_path, monkeypatch):
    """A new one, an empty one, a SavedModel and the target of a link; a failure leaves the old."""
    for name in ("new/model", "empty"):
        if name == "empty":
            (tmp_path / name).mkdir()
        write_whole(tmp_path / name, "first")
        write_whole(tmp_path / name, "second")
        assert (tmp_path / name / "saved_model.pb").read_text() == "second"
    (tmp_path / "link").symlink_to("empty")
    write_whole(tmp_path / "link", "third")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "empty" / "saved_model.pb").read_text() == "third"
    rename = os.rename

    def fail_in_place(source, target):
        if source.name.startswith("exporting"):
            raise OSError("disk full")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_in_place)
    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "empty", "fourth")
    assert (tmp_path / "empty" / "saved_model.pb").read_text() == "third"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "link", "new"]


def test_a_directory_with_other_files_is_not_replaced(tmp_path):
    """Such as one of numbered versions; and a file is none."""
    (tmp_path / "models" / "1").mkdir(parents=True)
    (tmp_path / "models" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"where \['1', 'notes.txt'\] would be lost. Name another"):
        write_whole(tmp_path / "models")
    with pytest.raises(ValueError, match="filepath must be the directory of a SavedModel"):
        write_whole(tmp_path / "models" / "notes.txt")
    with pytest.raises(TypeError, match="filepath must be a path, .*received int"):
        write_whole(3)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["1", "notes.txt"]


def test_versions_that_no_server_reads_are_refused(tmp_path):
    """Servers parse an int64; the next one after the largest is none."""
    with pytest.raises(ValueError, match="version must be at most 9223372036854775807, an int64"):
        write(tmp_path, 2**63)
    assert write(tmp_path, 2**63 - 1) == 2**63 - 1
    with pytest.raises(ValueError, match="received 9223372036854775808: a server would never see"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["9223372036854775807"]


def warmup_signatures(path):
    """The signatures that the warm-up file of a version asks, as a server reads it."""
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    logs = map(PredictionLog.FromString, tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
    return [log.predict_log.request.model_spec.signature_name for log in logs]


def test_a_reader_sees_no_half_version(exported, tmp_path):
    """Whoever lists the directory in a loop finds versions that load, answer and warm up."""
    model = exported("dlrm")
    inputs = {name: tf.constant(array) for name, array in model.writer.inputs(batch(2)).items()}
    seen, failures, answers, done = [], [], [], threading.Event()

    def watch():
        while True:
            last_look = done.is_set()
            for path in sorted(tmp_path.iterdir()):
                if path.name.isdecimal() and path.name not in seen:
                    seen.append(path.name)
                    try:
                        # The file that is written last is read first.
                        assert warmup_signatures(path) == list(SIGNATURES)
                        rank = tf.saved_model.load(path).signatures["serving_default"]
                        RequestWriter(path)
                        answers.append(rank(**inputs)["logits"].numpy())
                    except Exception as error:
                        failures.append(error)
            if last_look:
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    artifact, paths = Artifact(model.model), []
    for _ in range(2):
        with new_version(tmp_path) as pending:
            artifact.write(pending.path)
        paths.append(pending.final_path)
    done.set()
    watcher.join()
    assert not failures
    assert seen == [pathlib.Path(path).name for path in paths]
    np.testing.assert_array_equal(*answers)
