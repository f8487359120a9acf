"""State dicts from files, without running anything that is in them."""

import json
import pathlib

import numpy as np

_SAFETENSORS_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


def read_checkpoint(path):
    """Returns the state dict in a file.

    Reads weights only: neither a `.pt` file's pickled code nor a `.npz` file's objects are run.

    Args:
        path: str or path of a `.pt` or `.pth` file of `torch.save(module.state_dict(), path)`
            (reading it needs torch), a `.safetensors` or a `.npz` file.

    Returns:
        A dict from key to NumPy array or torch tensor.

    Raises:
        ValueError: on another kind of file, or one that holds something other than tensors.
        FileNotFoundError: if there is no such file.
        ModuleNotFoundError: on a `.pt` file where torch is not installed.

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
    readers = {
        ".npz": _read_npz,
        ".safetensors": _read_safetensors,
        ".pt": _read_torch,
        ".pth": _read_torch,
    }
    if path.suffix not in readers:
        raise ValueError(
            f"A checkpoint must be one of {list(readers)}, received {path.name!r}. Save a state "
            "dict with torch.save, safetensors or np.savez."
        )
    if not path.is_file():
        raise FileNotFoundError(f"No checkpoint at {path}.")
    state = readers[path.suffix](path)
    others = [key for key, value in state.items() if not hasattr(value, "shape")]
    if others:
        raise ValueError(
            f"{path.name} must hold a state dict, from key to tensor; {others[:5]} are no tensors. "
            "Save module.state_dict() alone."
        )
    return state


def _read_npz(path):
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def _read_torch(path):
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Reading {path.name} needs torch: install it, or save the state dict as .safetensors "
            "or .npz where torch is."
        ) from error
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(state, dict):
        raise ValueError(
            f"{path.name} must hold a state dict, received {type(state).__name__}. Save "
            "module.state_dict()."
        )
    return state


def _read_safetensors(path):
    """Maps the file: eight bytes with the header's length, a JSON header, then the tensors."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise ValueError(f"{path.name} is no safetensors file, or is cut off.")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    state = {}
    for key, entry in header.items():
        start, end = entry["data_offsets"]
        if not 0 <= start <= end <= size - 8 - length:
            raise ValueError(f"{path.name} is cut off or damaged: {key!r} lies outside the file.")
        state[key] = _tensor(path, 8 + length + start, end - start, key, entry)
    return state


def _tensor(path, offset, num_bytes, key, entry):
    name, shape = entry["dtype"], tuple(entry["shape"])
    half = name == "BF16"
    if not half and name not in _SAFETENSORS_DTYPES:
        raise ValueError(f"{path.name}: {key!r} has dtype {name}, which NumPy does not have.")
    dtype = np.dtype("<u2" if half else _SAFETENSORS_DTYPES[name])
    if num_bytes != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{path.name} is damaged: the size of {key!r} is not that of its shape.")
    if not num_bytes:
        return np.zeros(shape, dtype)
    array = np.memmap(path, dtype, mode="r", offset=offset, shape=num_bytes // dtype.itemsize)
    array = np.asarray(array).reshape(shape)
    # The upper half of a float32 is a bfloat16.
    return (array.astype("<u4") << 16).view("<f4") if half else array
