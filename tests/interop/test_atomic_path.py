"""Files appear whole or not at all."""

import os
import pathlib

import pytest

from tfrec_models._files import atomic_path


def test_the_file_appears_at_the_end(tmp_path):
    """Until the block ends the old file is there; then the new one, and nothing beside it."""
    path = tmp_path / "model.keras"
    path.write_text("old")
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".keras"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path):
    """The temporary file is removed; so is one of a block that wrote nothing."""
    path = tmp_path / "model.keras"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    with pytest.raises(FileNotFoundError), atomic_path(path):
        pass
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_wrong_places_are_refused_before_the_work(tmp_path):
    """A directory that does not exist, and a directory in place of the file."""
    with pytest.raises(FileNotFoundError, match="nowhere"), atomic_path(tmp_path / "nowhere" / "a"):
        pytest.fail("the block ran")
    with pytest.raises(IsADirectoryError), atomic_path(tmp_path):
        pytest.fail("the block ran")


def test_permissions_are_the_usual_ones(tmp_path):
    """The file may be read by whom any new file may."""
    plain = tmp_path / "plain"
    plain.write_text("")
    with atomic_path(tmp_path / "atomic") as temporary:
        temporary.write_text("")
    assert os.stat(tmp_path / "atomic").st_mode == os.stat(plain).st_mode


def test_a_relative_path(tmp_path, monkeypatch):
    """A bare name means the working directory."""
    monkeypatch.chdir(tmp_path)
    with atomic_path("numbers.txt") as temporary:
        temporary.write_text("1")
    assert pathlib.Path("numbers.txt").read_text() == "1"
