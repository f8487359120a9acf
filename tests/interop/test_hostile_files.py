"""Every file a migrant may have: the good ones are read, the others answered in one line."""

import argparse
import collections
import enum
import gzip
import io
import json
import os
import pickle
import sys
import zipfile

import keras
import numpy as np
import pytest

from tests.support.checkpoints import write_safetensors
from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.interop.torchrec import load_torchrec_state_dict, read_checkpoint
from tfrec_models.interop.torchrec.__main__ import main
from tfrec_models.layers import MLP

WEIGHTS = {
    "_mlp.0._linear.weight": np.float32([[1, 2, 3], [4, 5, 6]]),
    "_mlp.0._linear.bias": np.float32([7, 8]),
}


def npz(**arrays):
    """The bytes of an archive of np.savez."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zipped(**members):
    """The bytes of a zip archive with these texts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("_json", ".json"), text)
    return file.getvalue()


def safetensors(header):
    """The bytes of a file of safetensors with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


BAD_FILES = {
    "empty": (b"", "is cut off or was never written: it is empty."),
    "page": (b"\n <!DOCTYPE html><p>404", "is a web page or XML. Download the file itself."),
    "text": (b"weights", "is no checkpoint. It must be one of a file of torch.save"),
    "zeros": (bytes(5000), "is no checkpoint"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "gzip": (gzip.compress(npz(**WEIGHTS)), "is compressed by gzip. Decompress it first."),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "Load Keras weights with model.load_weights"),
    "pickle": (pickle.dumps({"a": 1}), "is a pickle, but not one of torch.save."),
    "cut npz": (npz(**WEIGHTS)[:-30], "is cut off: the end of the archive is missing."),
    "bad npz": (npz(a=np.ones(9)).replace(b"\xf0?", b"\xf1?", 1), "damaged (BadZipFile: Bad CRC"),
    "objects": (npz(a=np.array([{}])), "allow_pickle=False"),
    "zip": (zipped(readme="hello"), "is a zip archive, but no checkpoint."),
    "empty zip": (zipped(), "is no checkpoint"),
    "keras": (zipped(config_json="{}", metadata_json="{}"), "with keras.saving.load_model."),
    "header": (safetensors(b"{not json}"), "cut off or damaged (JSONDecodeError: Expecting"),
    "list": (safetensors([]), "is no checkpoint"),
    "no offsets": (safetensors({"a": {"dtype": "F32"}}), "damaged (KeyError: 'data_offsets')"),
    "negative": (
        safetensors({"a": {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}}),
        "cut off or damaged (ValueError",
    ),
    "far": (
        safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}),
        "'a' lies outside the file.",
    ),
    "float8": (
        safetensors({"a": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}),
        "has dtype F8_E4M3, which NumPy does not have",
    ),
}  # fmt: skip


@pytest.fixture
def run(tmp_path, capsys):
    """Runs the command on a checkpoint; returns its exit code and what it wrote on stderr."""
    tables = EmbeddingBagCollection([EmbeddingBagConfig(3, 2, "t")])
    (tmp_path / "config.json").write_text(DLRM(tables, 2, [2], [2, 1]).to_json())

    def run(checkpoint, config="config.json", out="out.keras"):
        paths = [str(tmp_path / name) for name in (checkpoint, config, out)]
        code = main([paths[0], "--config", paths[1], "--out", paths[2]])
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(run, tmp_path, name, suffix):
    """Whatever its name says, one line that says what is wrong, exit code 1, nothing written."""
    data, message = BAD_FILES[name]
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(data)
    before = sorted(os.listdir(tmp_path))
    code, errors = run(path.name)
    assert code == 1 and errors.count("\n") == 1 and errors.startswith("error: ")
    if not (suffix == ".safetensors" and message.startswith("is no checkpoint")):
        assert message in errors
    assert "weights" in errors and sorted(os.listdir(tmp_path)) == before


def test_no_files(run, tmp_path):
    """Nothing there, a folder, a file in the place of a folder, a name too long."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for checkpoint, message in (
        ("none.pt", "No checkpoint at"),
        ("folder", "is a folder. It must be one of a file of torch.save"),
        ("file/weights.pt", "No checkpoint at"),
        ("x" * 300, "name too long"),
    ):
        code, errors = run(checkpoint)
        assert code == 1 and message in errors and errors.count("\n") == 1


def test_a_file_that_may_not_be_read(run, tmp_path, monkeypatch):
    """The system's own sentence, with the file's name."""
    (tmp_path / "weights.npz").write_bytes(npz(**WEIGHTS))

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    code, errors = run("weights.npz")
    assert code == 1 and "Permission denied: " in errors and errors.count("\n") == 1


def test_a_distributed_checkpoint(run, tmp_path):
    """Its folder is known by its metadata, and the command that makes a file of it is named."""
    (tmp_path / "step-9").mkdir()
    (tmp_path / "step-9" / ".metadata").write_bytes(b"\x80\x04.")
    code, errors = run("step-9")
    assert code == 1 and "torch.distributed.checkpoint.format_utils dcp_to_torch" in errors


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"{",
        b"\xff\xfe{",
        b"[]",
        b"null",
        b'{"class_name": "Missing", "config": {}}',
        b'{"module": "tfrec_models", "class_name": "DLRM", "config": {"dense_in_features": 3}}',
        b"[" * 100_000,
    ],
)
def test_bad_configs(run, tmp_path, config):
    """One line too."""
    (tmp_path / "weights.npz").write_bytes(npz(**WEIGHTS))
    (tmp_path / "bad.json").write_bytes(config)
    code, errors = run("weights.npz", config="bad.json")
    assert code == 1 and "is not the config of a model" in errors and errors.count("\n") == 1
    assert len(errors) < 700


def test_bad_places_for_the_result(run, tmp_path):
    """A folder that is not there, one in the file's place, a config that is a folder."""
    (tmp_path / "weights.npz").write_bytes(npz(**WEIGHTS))
    (tmp_path / "folder.keras").mkdir()
    assert "No such file or directory" in run("weights.npz", out="none/out.keras")[1]
    assert "Is a directory" in run("weights.npz", out="folder.keras")[1]
    assert "Is a directory" in run("weights.npz", config="folder.keras")[1]


@pytest.mark.parametrize("name", ["weights", "weights.bin", "weights.pt", "a.pth.tar", "x.ckpt"])
def test_the_contents_tell_the_kind(tmp_path, name):
    """Not the suffix."""
    (tmp_path / name).write_bytes(npz(**WEIGHTS))
    np.testing.assert_equal(read_checkpoint(tmp_path / name), WEIGHTS)
    write_safetensors(tmp_path / name, WEIGHTS)
    np.testing.assert_equal(read_checkpoint(tmp_path / name), WEIGHTS)


@pytest.mark.parametrize("zipped_format", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model"])
def test_files_of_torch(torch, tmp_path, zipped_format, protocol, key):
    """Both formats, all pickle protocols, weights alone or with what scripts save beside them."""
    state = collections.OrderedDict((k, torch.from_numpy(v)) for k, v in WEIGHTS.items())
    beside = {
        "epoch": 3,
        "auc": np.float64(0.8),
        "history": np.arange(3),
        "args": argparse.Namespace(lr=0.1, kind=enum.Enum),
        "optimizer": torch.optim.Adam(torch.nn.Linear(1, 1).parameters()).state_dict(),
    }
    path = tmp_path / "weights.pt"
    torch.save(
        state if key is None else {**beside, key: state},
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped_format,
    )
    read = read_checkpoint(path)
    assert list(read) == list(WEIGHTS)
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(read[name].numpy(), value)


@pytest.mark.parametrize("zipped_format", [True, False])
def test_cut_files_of_torch(torch, run, tmp_path, zipped_format):
    """Cut anywhere, one line."""
    path = tmp_path / "weights.pt"
    state = {key: torch.from_numpy(value) for key, value in WEIGHTS.items()}
    torch.save(state, path, _use_new_zipfile_serialization=zipped_format)
    whole = path.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:size])
        code, errors = run("weights.pt")
        assert code == 1 and errors.count("\n") == 1 and "weights.pt" in errors


@pytest.mark.parametrize("zipped_format", [True, False])
def test_nothing_in_a_file_runs(torch, run, tmp_path, zipped_format):
    """Code is not run; the class in the weights' place is named."""

    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "it ran"),)

    path = tmp_path / "weights.pt"
    for value, message in (
        (Hostile(), "must hold a state dict, received "),
        ({"a": Hostile(), "b": torch.ones(1)}, "'a' (posix.mkdir) is no tensor"),
        (
            torch.nn.Linear(1, 1),
            "received torch.nn.modules.linear.Linear. Save module.state_dict()",
        ),
        ([torch.ones(1)], "must hold a state dict, received list."),
        ({"model": {"a": 1}}, "in 'model' 'a' (int) is no tensor"),
        ({"model": {"a": torch.ones(1)}, "state_dict": {"a": torch.ones(1)}}, "several state dict"),
    ):
        torch.save(value, path, _use_new_zipfile_serialization=zipped_format)
        code, errors = run("weights.pt")
        assert code == 1 and errors.count("\n") == 1 and message in errors
    assert not (tmp_path / "it ran").exists()


def test_only_names_of_the_list_are_called(torch, tmp_path):
    """A pickle that asks for torch's own functions, or functions by their names, gets none."""

    class Calls:
        def __init__(self, function, *args):
            self.call = function, args

        def __reduce__(self):
            return self.call

    (tmp_path / "inner.pt").write_bytes(b"")
    path = tmp_path / "weights.pt"
    for function, args in (
        (torch.load, (str(tmp_path / "inner.pt"),)),
        (torch.serialization._get_layout, ("torch.load",)),
        (torch.hub.load, ("a", "b")),
        (eval, ("1 + 1",)),
    ):
        torch.save({"a": Calls(function, *args)}, path)
        with pytest.raises(ValueError, match=r"'a' \(.+\) is no tensor"):
            read_checkpoint(path)


def test_torchscript(torch, run, tmp_path):
    """A program is not weights."""
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(tmp_path / "weights.pt"))
    code, errors = run("weights.pt")
    assert (
        code == 1 and "is a TorchScript program. Save torch.jit.load(path).state_dict()" in errors
    )


def test_help_without_docstrings(monkeypatch, capsys):
    """`python -OO` removes the docstring that a description might be made of."""
    monkeypatch.setattr(sys.modules[main.__module__], "__doc__", None)
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "Makes a .keras file of a TorchRec checkpoint." in capsys.readouterr().out


def test_mlp_weights_load(tmp_path):
    """What is read loads."""
    (tmp_path / "weights").write_bytes(npz(**WEIGHTS))
    mlp = MLP(3, [2])
    load_torchrec_state_dict(mlp, read_checkpoint(tmp_path / "weights"))
    assert keras.ops.convert_to_numpy(mlp(np.ones((1, 3)))).tolist() == [[13.0, 23.0]]
