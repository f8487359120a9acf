"""State dicts of facebookresearch/dlrm, the model's first public code, under TorchRec's names."""

import re

import numpy as np

from tfrec_models.dlrm import DLRM, DLRMTrain, InteractionArch
from tfrec_models.interop.torchrec.key_names import bare_name
from tfrec_models.interop.torchrec.to_numpy import to_numpy

_KEY = re.compile(r"(emb_l|bot_l|top_l)\.(\d+)\.(weight|bias)")
_PARTS = ("emb_l.", "bot_l.", "top_l.", "v_W_l.")


def is_facebook_dlrm(state):
    """Whether a state dict has the keys of facebookresearch/dlrm's `DLRM_Net`."""
    names = [bare_name(str(key)) for key in state]
    return all(any(name.startswith(part) for name in names) for part in _PARTS[:3])


def takes_facebook_dlrm(layer):
    """Whether a layer computes what `DLRM_Net` does: a DLRM with dot interaction."""
    model = layer.model if isinstance(layer, DLRMTrain) else layer
    return type(model) is DLRM and type(model.inter_arch) is InteractionArch


def from_facebook_dlrm(state, layer):
    """Returns a state dict of facebookresearch/dlrm under the TorchRec keys of a DLRM.

    Its table i is the i-th of the collection. Its interaction lists the pairs of the lower
    triangle row by row, TorchRec's those of the upper one, so the columns of the over arch's first
    weight change places. Its last layer is followed by a sigmoid, which is the loss's here.

    Args:
        state: dict with `emb_l.<i>.weight`, `bot_l.<2 i>.weight`, `top_l.<2 i>.weight` and biases.
        layer: `DLRM` or `DLRMTrain`, with one feature a table.

    Raises:
        ValueError: if the model has parts that DLRM does not have, or another number of tables.
    """
    prefix = "model." if isinstance(layer, DLRMTrain) else ""
    model = layer.model if isinstance(layer, DLRMTrain) else layer
    state = {bare_name(str(key)): value for key, value in state.items()}
    _check_parts(state)
    tables = model.embedding_bag_collection.tables
    _check_tables(state, tables)
    last = max(int(key.split(".")[1]) for key in state if key.startswith("top_l."))
    renamed = {}
    for key, value in state.items():
        match = _KEY.fullmatch(key)
        if not match:
            renamed[key] = value
            continue
        part, number, kind = match[1], int(match[2]), match[3]
        if part == "emb_l":
            target = (
                f"sparse_arch.embedding_bag_collection.embedding_bags.{tables[number].name}.{kind}"
            )
        elif part == "bot_l":
            target = f"dense_arch.model._mlp.{number // 2}._linear.{kind}"
        elif number == last:
            target = f"over_arch.model.1.{kind}"
        else:
            target = f"over_arch.model.0._mlp.{number // 2}._linear.{kind}"
        if key == "top_l.0.weight":
            value = _in_torchrec_order(to_numpy(value), model)
        renamed[prefix + target] = value
    return renamed


def _check_parts(state):
    unknown = [key for key in state if key.startswith(_PARTS) and not _KEY.fullmatch(key)]
    if unknown:
        raise ValueError(
            f"The state dict of facebookresearch/dlrm has {unknown[:3]}, of which DLRM has no "
            "counterpart; nothing was changed. Load one trained without --qr-flag, --md-flag and "
            "--weighted-pooling."
        )


def _check_tables(state, tables):
    found = sum(key.startswith("emb_l.") for key in state)
    several = [table.name for table in tables if len(table.feature_names) != 1]
    if several:
        raise ValueError(
            "facebookresearch/dlrm has one feature for each table, received tables with several: "
            f"{several}; nothing was changed."
        )
    if found != len(tables):
        raise ValueError(
            f"The model must have a table for each of the {found} emb_l of the state dict, "
            f"received one with {len(tables)}; nothing was changed."
        )


def _in_torchrec_order(weight, model):
    """The over arch's first weight for the pairs (0, 1), (0, 2) .. in place of (1, 0), (2, 0) .."""
    dim, count = model.sparse_arch.embedding_dim, model.sparse_arch.num_sparse_features + 1
    num_pairs = count * (count - 1) // 2
    if weight.ndim == 2 and weight.shape[1] != dim + num_pairs:
        others = {dim + num_pairs + count: "--arch-interaction-itself", count * dim: "cat"}
        raise ValueError(
            f"top_l.0.weight must have {dim + num_pairs} columns, the {dim} of the dense vector "
            f"and {num_pairs} pairs, received {weight.shape[1]}; nothing was changed. "
            + (
                f"That is the interaction {others[weight.shape[1]]!r}, which DLRM does not have."
                if weight.shape[1] in others
                else "Make the DLRM with the same tables."
            )
        )
    rows, columns = np.triu_indices(count, 1)
    return weight[:, [*range(dim), *(dim + columns * (columns - 1) // 2 + rows)]]
