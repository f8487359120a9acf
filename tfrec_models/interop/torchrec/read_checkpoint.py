"""State dicts from files, without running anything that is in them."""

import contextlib
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrec_models.interop.torchrec.safetensors_file import read_safetensors_file
from tfrec_models.interop.torchrec.state_dict import one_line
from tfrec_models.interop.torchrec.torch_file import Placeholder, read_torch_file

_KINDS = "It must be one of a file of torch.save, a .safetensors or a .npz file"
# Where training scripts put the weights in the dict they save.
_NESTED = ("state_dict", "model_state_dict", "model_state", "model", "module", "net")
# What the first bytes of other files say they are.
_OTHERS = {
    b"\x89HDF": "is an HDF5 file. Load Keras weights with model.load_weights",
    b"\x1f\x8b": "is compressed by gzip. Decompress it first",
    b"version https://git-lfs": "is a pointer of Git LFS to the checkpoint. Get it by git lfs pull",
    b"<": "is a web page or XML. Download the file itself",
}


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the state dict in a file.

    The kind of file is found by its contents. Weights alone are read: neither a torch file's
    pickled code nor a `.npz` file's objects are run. Where the weights lie in a dict with other
    things, under "state_dict", "model_state_dict", "model_state", "model", "module" or "net", they
    are taken from there.

    Args:
        path: str or path of a file of `torch.save(module.state_dict(), path)` (reading it needs
            torch), of safetensors or of np.savez.

    Returns:
        A dict from key to NumPy array or torch tensor.

    Raises:
        ValueError: on another kind of file, one that is cut off or damaged, or one that holds
            something other than tensors.
        FileNotFoundError: if there is no such file.
        IsADirectoryError: if it is a folder, such as one of torch.distributed.checkpoint.
        ModuleNotFoundError: on a torch file where torch is not installed.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> from tfrec_models.interop.torchrec import read_checkpoint
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.npz")
    >>> np.savez(path, **{"over_arch.model.1.bias": np.zeros(1)})
    >>> read_checkpoint(path)
    {'over_arch.model.1.bias': array([0.])}
    """
    path = pathlib.Path(path)
    _check_is_file(path)
    with _errors_named(path):
        return _weights_in(_reader_of(path)(path), path.name)


def _check_is_file(path):
    if (path / ".metadata").is_file():
        raise IsADirectoryError(
            f"{path} is a folder of torch.distributed.checkpoint, which holds pickled code. If you "
            "trust it, make a file of it: python -m torch.distributed.checkpoint.format_utils "
            f"dcp_to_torch {path} {path.name}.pt"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. {_KINDS}.")
    if not path.is_file():
        raise FileNotFoundError(f"No checkpoint at {path}. {_KINDS}.")


@contextlib.contextmanager
def _errors_named(path):
    """Whatever a reader raises becomes one line that names the file."""
    try:
        yield
    except ModuleNotFoundError:
        raise
    # A parser of a damaged file raises what the damage leads it to, from EOFError to MemoryError.
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            raise
        text = one_line(error)
        if isinstance(error, ValueError) and text.startswith(path.name):
            raise
        raise ValueError(
            f"{path.name} cannot be read; it is cut off or damaged "
            f"({type(error).__name__}: {text})."
        ) from error


def _reader_of(path):
    """The function that reads a file, found by its first bytes."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise ValueError(f"{path.name} is cut off or was never written: it is empty.")
    if start.startswith(b"PK\x03\x04"):
        return _reader_of_zip(path)
    if start.startswith(b"\x80"):
        # The number that torch's format before 1.6 begins with, as pickle writes it.
        if b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19" in start:
            return read_torch_file
        raise ValueError(f"{path.name} is a pickle, but not one of torch.save. {_KINDS}.")
    for beginning, what in _OTHERS.items():
        if start.lstrip().startswith(beginning):
            raise ValueError(f"{path.name} {what}.")
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        return read_safetensors_file
    raise ValueError(f"{path.name} is no checkpoint. {_KINDS}.")


def _reader_of_zip(path):
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path.name} is cut off: the end of the archive is missing.")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("/constants.pkl") for name in names):
        raise ValueError(
            f"{path.name} is a TorchScript program. Save torch.jit.load(path).state_dict() with "
            "torch.save."
        )
    if any(name.endswith("/data.pkl") for name in names):
        return read_torch_file
    if "config.json" in names and "metadata.json" in names:
        raise ValueError(f"{path.name} is a .keras file. Load it with keras.saving.load_model.")
    if names and all(name.endswith(".npy") for name in names):
        return _read_npz
    raise ValueError(f"{path.name} is a zip archive, but no checkpoint. {_KINDS}.")


def _read_npz(path):
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def _weights_in(state, name):
    """The dict from key to tensor in what a file holds."""
    if not isinstance(state, Mapping):
        raise ValueError(
            f"{name} must hold a state dict, received {_class_of(state)}. Save module.state_dict()."
        )
    if _holds_tensors(state):
        return {str(key): value for key, value in state.items()}
    nested = [key for key in _NESTED if key in state and _holds_tensors(state[key])]
    if len(nested) == 1:
        return {str(key): value for key, value in state[nested[0]].items()}
    if nested:
        raise ValueError(f"{name} holds several state dicts, {nested}. Save one of them alone.")
    where, values = next(
        ((f"in {key!r} ", state[key]) for key in _NESTED if isinstance(state.get(key), Mapping)),
        ("", state),
    )
    others = [
        f"{key!r} ({_class_of(value)})" for key, value in values.items() if not _is_tensor(value)
    ]
    raise ValueError(
        f"{name} must hold a state dict, from key to tensor; {where}{', '.join(others[:5])} "
        f"{'are no tensors' if len(others) > 1 else 'is no tensor'}. Save module.state_dict() "
        "alone, of whole tensors."
    )


def _is_tensor(value):
    return hasattr(value, "shape") and not isinstance(value, Placeholder)


def _holds_tensors(value):
    return isinstance(value, Mapping) and all(_is_tensor(item) for item in value.values())


def _class_of(value):
    cls = type(value)
    return cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__name__}"
