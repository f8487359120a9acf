"""Weights to and from TorchRec's state dicts."""

import numpy as np

from tfrec_models.interop.torchrec.key_mapping import torchrec_entries


def torchrec_state_dict(layer):
    """Returns a layer's weights under TorchRec's names and in its layout.

    What the state dict of the TorchRec module of the same name holds:
    `torch_module.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})` takes it.

    Args:
        layer: a layer or model of this package; it is built if it is not yet.

    Returns:
        A dict from TorchRec's key to NumPy array. Tables are copied one by one out of the
        variable that stacks them.

    Raises:
        TypeError: if TorchRec has no counterpart of the layer.

    Example:

    >>> from tfrec_models.interop.torchrec import torchrec_state_dict
    >>> from tfrec_models.layers import MLP
    >>> {key: value.shape for key, value in torchrec_state_dict(MLP(3, [2])).items()}
    {'_mlp.0._linear.weight': (2, 3), '_mlp.0._linear.bias': (2,)}
    """
    return {key: entry.read() for key, entry in _entries_of(layer).items()}


def load_torchrec_state_dict(layer, state_dict, strict=True):
    """Sets a layer's weights from a TorchRec state dict.

    Nothing is changed unless everything fits.

    Args:
        layer: a layer or model of this package; it is built if it is not yet.
        state_dict: dict from TorchRec's key to NumPy array or torch tensor.
        strict: bool, whether keys that are missing or of no use are errors. Shapes that differ
            always are.

    Raises:
        ValueError: naming all missing, unexpected and misshapen keys at once.
        TypeError: if TorchRec has no counterpart of the layer.

    Example:

    >>> import numpy as np
    >>> from tfrec_models.interop.torchrec import load_torchrec_state_dict
    >>> from tfrec_models.layers import MLP
    >>> mlp = MLP(3, [2])
    >>> load_torchrec_state_dict(
    ...     mlp, {"_mlp.0._linear.weight": np.ones((2, 3)), "_mlp.0._linear.bias": np.zeros(2)}
    ... )
    >>> mlp(np.ones((1, 3))).numpy().tolist()
    [[3.0, 3.0]]
    """
    write_entries(_entries_of(layer), state_dict, strict, f"{type(layer).__name__} {layer.name!r}")


def write_entries(entries, state, strict, owner):
    """Writes all values of a dict to the entries of its keys, or none if one does not fit.

    Args:
        entries: dict from key to `Entry`.
        state: dict from key to NumPy array or torch tensor.
        strict: bool, whether keys that are missing or of no use are errors.
        owner: str, whose state it is to be.

    Raises:
        ValueError: naming all missing, unexpected and misshapen keys at once.
    """
    missing = [key for key in entries if key not in state]
    unexpected = [key for key in state if key not in entries]
    misshapen = [
        f"{key}: {_shape(state[key])}, expected {entry.shape}"
        for key, entry in entries.items()
        if key in state and _shape(state[key]) != entry.shape
    ]
    faults = [("Misshapen", misshapen)]
    if strict:
        faults += [("Missing", missing), ("Unexpected", unexpected)]
    faults = [f"{what} keys:\n  " + "\n  ".join(keys) for what, keys in faults if keys]
    if faults:
        raise ValueError(
            f"The state dict does not fit {owner}; nothing was changed.\n" + "\n".join(faults)
        )
    for key, entry in entries.items():
        if key in state:
            entry.write(_as_numpy(state[key]))


def _shape(value):
    """The shape of an array or a torch tensor, or the type of something else."""
    return tuple(value.shape) if hasattr(value, "shape") else type(value).__name__


def _entries_of(layer):
    if not layer.built:
        layer.build()
    return torchrec_entries(layer)


def _as_numpy(value):
    """A NumPy array of an array, or of a torch tensor wherever and in whatever dtype it is."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    value = value.detach().cpu()
    # NumPy has no bfloat16; every bfloat16 and float16 is exact in float32.
    return value.float().numpy() if value.element_size() < 4 else value.numpy()
