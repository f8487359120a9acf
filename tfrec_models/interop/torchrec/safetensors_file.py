"""Files of safetensors, mapped into memory."""

import json

import numpy as np

_DTYPES = {
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


def read_safetensors_file(path):
    """Returns a dict from key to array: eight bytes with the header's length, JSON, the tensors.

    Args:
        path: `pathlib.Path` of the file.

    Raises:
        ValueError: on a file that is cut off or damaged, or a dtype NumPy does not have.
    """
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
    if not half and name not in _DTYPES:
        raise ValueError(f"{path.name}: {key!r} has dtype {name}, which NumPy does not have.")
    dtype = np.dtype("<u2" if half else _DTYPES[name])
    if num_bytes != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{path.name} is damaged: the size of {key!r} is not that of its shape.")
    if not num_bytes:
        return np.zeros(shape, dtype)
    array = np.memmap(path, dtype, mode="r", offset=offset, shape=num_bytes // dtype.itemsize)
    array = np.asarray(array).reshape(shape)
    # The upper half of a float32 is a bfloat16.
    return (array.astype("<u4") << 16).view("<f4") if half else array
