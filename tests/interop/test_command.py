"""Checkpoint files, and the command that makes `.keras` files of them."""

import keras
import numpy as np
import pytest

from tests.support import oracle
from tests.support.checkpoints import write_safetensors
from tfrec_models.interop.torchrec import load_torchrec_state_dict, read_checkpoint
from tfrec_models.interop.torchrec.__main__ import main


@pytest.fixture
def saved(tmp_path):
    """A model's config and its weights in files, and its predictions."""
    name = "dlrm_dcn_basic"
    case, recorded = oracle.index()[name], oracle.arrays(name)
    (tmp_path / "model.json").write_text(oracle.make_model(case).to_json())
    state = oracle.weights_of(recorded)
    np.savez(tmp_path / "weights.npz", **state)
    write_safetensors(tmp_path / "weights.safetensors", state)

    def check(path):
        loaded = keras.saving.load_model(path)
        logits = loaded(recorded["in/dense"], oracle.kjt(case, recorded))
        np.testing.assert_allclose(logits, recorded["out/y"], **oracle.CLOSE)

    return tmp_path, check


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_checkpoint_becomes_a_keras_file(saved, suffix, capsys):
    """The file loads by itself and predicts what TorchRec's model does."""
    folder, check = saved
    out = folder / "model.keras"
    arguments = [folder / f"weights.{suffix}", "--config", folder / "model.json", "--out", out]
    assert main([str(argument) for argument in arguments]) == 0
    assert "model.keras: DLRM_DCN with" in capsys.readouterr().out
    check(out)
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.json",
        "model.keras",
        "weights.npz",
        "weights.safetensors",
    ]


def test_a_torch_file_becomes_a_keras_file(torch, saved):
    """Where torch is, a file of torch.save too; never one with code in it."""
    folder, check = saved
    with np.load(folder / "weights.npz") as archive:
        state = {key: torch.from_numpy(archive[key]) for key in archive.files}
    torch.save(state, folder / "weights.pt")
    arguments = [folder / "weights.pt", "--config", folder / "model.json"]
    arguments = [str(argument) for argument in arguments]
    assert main([*arguments, "--out", str(folder / "model.keras")]) == 0
    check(folder / "model.keras")
    torch.save(torch.nn.Linear(1, 1), folder / "module.pt")
    with pytest.raises(ValueError, match="received torch.nn.modules.linear.Linear"):
        read_checkpoint(folder / "module.pt")


def test_what_was_there_stays_when_weights_do_not_fit(saved, capsys):
    """An error names the keys, leaves the old file as it was and no other behind."""
    folder, _ = saved
    out = folder / "model.keras"
    out.write_text("precious")
    np.savez(folder / "bad.npz", other=np.zeros(1))
    before = sorted(folder.iterdir())
    arguments = [folder / "bad.npz", "--config", folder / "model.json", "--out", out]
    assert main([str(argument) for argument in arguments]) == 1
    errors = capsys.readouterr().err
    assert "Unexpected keys:\n  other" in errors and "Missing keys:\n  sparse_arch." in errors
    assert out.read_text() == "precious" and sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoint": "none.bin"}, "must be one of"),
        ({"checkpoint": "none.npz"}, "No checkpoint at"),
        ({"out": "model.h5"}, "--out must end in .keras, received 'model.h5'"),
        ({"config": "empty.json"}, "is not the config of a model"),
        ({"config": "none.json"}, "No such file"),
        ({"out": "no/folder/model.keras"}, "No such file"),
    ],
)
def test_wrong_arguments(saved, capsys, change, message):
    """Each is named on stderr, with exit code 1."""
    folder, _ = saved
    (folder / "empty.json").write_text("{}")
    chosen = {"checkpoint": "weights.npz", "config": "model.json", "out": "model.keras", **change}
    paths = {key: str(folder / value) for key, value in chosen.items()}
    assert main([paths["checkpoint"], "--config", paths["config"], "--out", paths["out"]]) == 1
    assert message in capsys.readouterr().err


def test_safetensors_dtypes(tmp_path):
    """Half precision, integers, scalars and empty tensors; bfloat16 becomes float32."""
    path = tmp_path / "x.safetensors"
    tensors = {
        "half": np.float16([[1.5, -2]]),
        "ids": np.int64([2**40]),
        "scalar": np.float32(3.25),
        "empty": np.zeros((0, 4), np.float32),
        "brain": np.uint16([0x3FC0, 0xC000]),  # 1.5 and -2 in bfloat16
    }
    write_safetensors(path, tensors)
    state = read_checkpoint(path)
    for key in ("half", "ids", "scalar", "empty"):
        assert state[key].dtype == tensors[key].dtype and state[key].shape == tensors[key].shape
        np.testing.assert_array_equal(state[key], tensors[key])
    np.testing.assert_array_equal(state["brain"], np.float32([1.5, -2]))


def test_damaged_files(tmp_path):
    """A file cut off anywhere is refused, not read as zeros; objects are never unpickled."""
    path = tmp_path / "x.safetensors"
    write_safetensors(path, {"a": np.ones(4, np.float32)})
    whole = path.read_bytes()
    for size in (0, 4, 20, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="is no safetensors file, or is cut off|is cut off or"):
            read_checkpoint(path)
    path.write_bytes(whole.replace(b"[4]", b"[3]"))
    with pytest.raises(ValueError, match="the size of 'a' is not that of its shape"):
        read_checkpoint(path)
    np.savez(tmp_path / "code.npz", a=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_checkpoint(tmp_path / "code.npz")


def test_state_dict_straight_from_a_file(tmp_path):
    """A checkpoint read by hand loads like any state dict."""
    case = oracle.index()["deepfm_nn_basic"]
    write_safetensors(
        tmp_path / "x.safetensors", oracle.weights_of(oracle.arrays("deepfm_nn_basic"))
    )
    load_torchrec_state_dict(oracle.make_model(case), read_checkpoint(tmp_path / "x.safetensors"))
