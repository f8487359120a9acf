"""The values of state dicts as NumPy arrays: torch is not imported until one of its tensors is."""

import numpy as np
import tensorflow as tf

_GATHER = (
    "gather it first, on all processes: torch.distributed.checkpoint.state_dict."
    "get_model_state_dict(module, options=StateDictOptions(full_state_dict=True))"
)


def to_numpy(value):
    """Returns a NumPy array of an array, or of a torch tensor of any device, dtype or layout.

    Nothing is copied where torch and NumPy can share the memory. A `ShardedTensor` or `DTensor`
    is put together if all of it lies on this process.

    Args:
        value: NumPy array, or what converts to one, or a torch tensor.

    Raises:
        ValueError: if it holds no numbers, no data, or only a part on this process.
        RuntimeError: if torch cannot convert it.
    """
    if hasattr(value, "full_tensor"):
        return _from_dtensor(value)
    if hasattr(value, "local_shards"):
        return _from_sharded_tensor(value)
    array = _from_torch(value) if hasattr(value, "detach") else np.asarray(value)
    # bfloat16 and the 8-bit floats are no floats to NumPy.
    if array.dtype.kind not in "fiu" and not array.dtype.name.startswith(("bfloat", "float")):
        raise ValueError(f"must hold real numbers, received dtype {array.dtype.name}")
    return array


def _from_torch(tensor):
    tensor = tensor.detach()
    if tensor.device.type == "meta":
        raise ValueError("is on torch's meta device and holds no data; load the weights first")
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout is not _torch().strided:
        tensor = tensor.to_dense()
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    if tensor.dtype == _torch().bfloat16:
        bits = tensor.contiguous().view(_torch().int16)
        return bits.numpy().view(tf.bfloat16.as_numpy_dtype)
    if tensor.is_floating_point() and tensor.element_size() == 1:
        # NumPy has no 8-bit floats; every one is exact in float32.
        tensor = tensor.float()
    return tensor.numpy()


def _from_sharded_tensor(value):
    shards = [(shard.metadata.shard_offsets, shard.tensor) for shard in value.local_shards()]
    return _joined(tuple(value.size()), shards)


def _from_dtensor(value):
    if any(placement.is_partial() for placement in value.placements):
        raise ValueError(f"is a DTensor whose parts are still to be summed; {_GATHER}")
    local = value.to_local()
    if hasattr(local, "local_offsets"):
        shards = list(zip(local.local_offsets(), local.local_shards(), strict=True))
        return _joined(tuple(value.shape), shards)
    return _joined(tuple(value.shape), [((0,) * value.ndim, local)])


def _joined(shape, shards):
    """One array of the pieces at their offsets."""
    arrays = [(offsets, to_numpy(tensor)) for offsets, tensor in shards]
    found, expected = sum(array.size for _, array in arrays), int(np.prod(shape))
    if found < expected:
        raise ValueError(f"has {found} of its {expected} elements on this process; {_GATHER}")
    if len(arrays) == 1:
        return arrays[0][1]
    joined = np.empty(shape, arrays[0][1].dtype)
    for offsets, array in arrays:
        joined[tuple(slice(at, at + n) for at, n in zip(offsets, array.shape, strict=True))] = array
    return joined


def _torch():
    import torch

    return torch
