"""Weights to and from TorchRec's state dicts."""

from collections.abc import Mapping
from typing import Any

import keras

from tfrec_models.interop.torchrec.facebook_dlrm import (
    from_facebook_dlrm,
    is_facebook_dlrm,
    takes_facebook_dlrm,
)
from tfrec_models.interop.torchrec.key_mapping import torchrec_entries
from tfrec_models.interop.torchrec.key_names import hint, rename_wrapped
from tfrec_models.interop.torchrec.to_numpy import to_numpy

# Of each kind of fault; a wrong checkpoint has hundreds.
_SHOWN = 5


def torchrec_state_dict(layer: keras.layers.Layer, keep_oov_rows: bool = False) -> dict[str, Any]:
    """Returns a layer's weights under TorchRec's names and in its layout.

    What the state dict of the TorchRec module of the same name holds:
    `torch_module.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})` takes it.

    TorchRec has no row for ids outside a table, which the "oov" id policy has as its last: it is
    left out, unless keep_oov_rows asks for it. The result is then complete, and fits a TorchRec
    table of `num_embeddings + 1` rows.

    Args:
        layer: a layer or model of this package; it is built if it is not yet.
        keep_oov_rows: bool, whether tables with the "oov" id policy have `num_embeddings + 1` rows
            in the result.

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
    return {key: entry.read(keep_oov_rows) for key, entry in _entries_of(layer).items()}


def load_torchrec_state_dict(
    layer: keras.layers.Layer, state_dict: Mapping[str, Any], strict: bool = True
) -> None:
    """Sets a layer's weights from a TorchRec state dict.

    All values are converted and checked before the first is written: nothing is changed unless
    everything fits.

    Keys may have the names of wrappers (`module.`, `_dmp_wrapped_module.`, `_orig_mod.` and
    others, in any number) and of a class that holds the model (`model.`). A `DLRM` or
    `DLRMTrain` with dot interaction also takes the state dicts of facebookresearch/dlrm (`emb_l`,
    `bot_l`, `top_l`): table i is the i-th of the collection, and the columns of the over arch's
    first weight are put in TorchRec's order of pairs.

    A table with the "oov" id policy takes `num_embeddings` rows, and keeps its last as it is, or
    `num_embeddings + 1`, of which the last becomes the row for ids outside the table.

    Args:
        layer: a layer or model of this package; it is built if it is not yet.
        state_dict: dict from TorchRec's key to NumPy array or torch tensor; a sharded one if all
            of it lies on this process.
        strict: bool, whether keys that are missing or unknown are errors. Shapes that differ
            and values that cannot be read always are.

    Raises:
        ValueError: on missing, unexpected, misshapen and unreadable values, the first keys of each
            and what the state dict may be; if two keys mean one weight.
        TypeError: if TorchRec has no counterpart of the layer, or state_dict is no dict.

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
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            "state_dict must be a dict from key to array, received "
            f"{type(state_dict).__name__}. Give module.state_dict(), or what read_checkpoint "
            "returns."
        )
    entries = _entries_of(layer)
    if is_facebook_dlrm(state_dict) and takes_facebook_dlrm(layer):
        state_dict = from_facebook_dlrm(state_dict, layer)
    state_dict = rename_wrapped(state_dict, entries)
    write_entries(entries, state_dict, strict, f"{type(layer).__name__} {layer.name!r}")


def write_entries(entries, state, strict, owner, hint_of=hint):
    """Writes all values of a dict to the entries of its keys, or none if one does not fit.

    Args:
        entries: dict from key to `Entry`.
        state: dict from key to NumPy array or torch tensor.
        strict: bool, whether keys that are missing or unknown are errors.
        owner: str, whose state it is to be.
        hint_of: function of `state` and `entries` that says what a dict that does not fit may be,
            or None.

    Raises:
        ValueError: on missing, unexpected, misshapen and unreadable values.
    """
    misshapen = [
        f"{key}: {_shape(state[key])}, expected {' or '.join(map(str, entry.shapes))}"
        for key, entry in entries.items()
        if key in state and _shape(state[key]) not in entry.shapes
    ]
    faults = {"Misshapen keys": misshapen}
    if strict:
        faults["Missing keys"] = [key for key in entries if key not in state]
        faults["Unexpected keys"] = [key for key in state if key not in entries]
    prepared, faults["Unreadable values"] = {}, []
    for key, entry in entries.items():
        if key in state and _shape(state[key]) in entry.shapes:
            try:
                prepared[key] = entry.prepare(to_numpy(state[key]))
            except (ValueError, TypeError, RuntimeError) as error:
                faults["Unreadable values"].append(f"{key}: {one_line(error)}")
    if any(faults.values()):
        lines = [f"The state dict does not fit {owner}; nothing was changed."]
        lines += [f"Hint: {text}" for text in [hint_of(state, entries)] if text]
        for what, keys in faults.items():
            lines += [f"{what}:"] * bool(keys) + [f"  {key}" for key in keys[:_SHOWN]]
            lines += [f"  and {len(keys) - _SHOWN} more"] * (len(keys) > _SHOWN)
        raise ValueError("\n".join(lines))
    for key, value in prepared.items():
        entries[key].write(value)


def one_line(error):
    """Returns the message of an error in one line of at most 300 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."


def _shape(value):
    """The shape of an array or a torch tensor, or the type of something else."""
    return tuple(value.shape) if hasattr(value, "shape") else type(value).__name__


def _entries_of(layer):
    if not layer.built:
        layer.build()
    return torchrec_entries(layer)
