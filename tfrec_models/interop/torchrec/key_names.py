"""Keys of state dicts as training scripts leave them: wrappers in their names, and wrong ones."""

import collections
from collections.abc import Mapping

# DistributedModelParallel, DistributedDataParallel, torch.compile, FSDP and checkpointing.
_WRAPPERS = {
    "_dmp_wrapped_module",
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
}
# What training classes call the model they hold, TorchRec's DLRMTrain among them.
_HOLDERS = {"model"}


def bare_name(key):
    """Returns a key without the names of wrappers, and without "model." at its beginning.

    Example:

    >>> from tfrec_models.interop.torchrec.key_names import bare_name
    >>> bare_name("_dmp_wrapped_module.module.model.over_arch.model.1.bias")
    'over_arch.model.1.bias'
    """
    parts = key.split(".")
    while len(parts) > 1 and parts[0] in _WRAPPERS | _HOLDERS:
        parts = parts[1:]
    return ".".join([part for part in parts[:-1] if part not in _WRAPPERS] + parts[-1:])


def rename_wrapped(state, expected):
    """Returns a state dict under the expected keys where these differ by wrappers alone.

    Args:
        state: dict from key to value.
        expected: the keys wanted. One that is there is taken as it is.

    Raises:
        ValueError: if two keys mean the same weight.
    """
    if len({bare_name(key) for key in expected}) < len(expected):
        return dict(state)
    targets = {bare_name(key): key for key in expected}
    renamed, sources = {}, {}
    for key, value in state.items():
        name = str(key)
        target = name if name in expected else targets.get(bare_name(name), name)
        if target in renamed:
            raise ValueError(
                f"The state dict has two values for {target}: {sources[target]!r} and {name!r}; "
                "nothing was changed. Remove one of them."
            )
        renamed[target], sources[target] = value, name
    return renamed


def hint(state, expected):
    """Returns a sentence on what a state dict that does not fit may be, or None.

    Args:
        state: dict from key to value.
        expected: the keys wanted.
    """
    if not state:
        return "It is empty."
    nested = [key for key, value in state.items() if isinstance(value, Mapping) and value]
    if "param_groups" in state and "state" in state:
        return "It is an optimizer's: give module.state_dict(), or load_torchrec_optimizer_state."
    if nested:
        return (
            f"Some of its values are dicts: {nested[:5]}. Give the one that holds the weights, "
            f"such as checkpoint[{nested[0]!r}]."
        )
    if any(key in expected for key in state):
        return None
    if any(key.split(".")[0] in ("emb_l", "bot_l", "top_l") for key in state):
        return (
            "Its keys are those of facebookresearch/dlrm, which load into a DLRM or DLRMTrain "
            "with dot interaction."
        )
    prefix = _common_prefix(state, expected)
    if prefix:
        return f"Every key begins with {prefix!r}: pass the state dict without this prefix."
    prefix = _common_prefix(expected, state)
    if prefix:
        return f"It is the state of {prefix.removesuffix('.')!r} alone: load it into that part."
    return (
        f"None of its {len(state)} keys is one of the {len(expected)} expected. Give the "
        "state_dict() of TorchRec's module of the same name and sizes."
    )


def _common_prefix(longer, shorter):
    """What stands before keys of `shorter` in those of `longer`, if that is the same for most."""
    found = collections.Counter()
    for key in longer:
        for at in (i + 1 for i, character in enumerate(key) if character == "."):
            if key[at:] in shorter:
                found[key[:at]] += 1
                break
    prefix, count = max(found.items(), key=lambda item: item[1], default=(None, 0))
    return prefix if 2 * count > min(len(longer), len(shorter)) else None
