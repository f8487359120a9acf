"""Optimizer state of embedding tables to and from TorchRec's fused optimizers."""

import re
from collections.abc import Mapping
from typing import Any

import keras

from tfrec_models.embeddings.find_tables import tables_in
from tfrec_models.interop.torchrec.key_mapping import torchrec_entries
from tfrec_models.interop.torchrec.state_dict import write_entries
from tfrec_models.interop.torchrec.weight_entry import TableEntry, table_entry
from tfrec_models.optimizers import Adagrad, RowWiseAdagrad
from tfrec_models.optimizers.unwrap import table_optimizer

# FusedEmbeddingBagCollection's <table>.weight.momentum_1; DistributedModelParallel's
# <table>.momentum1, and before that <table>.momentum_1.
_MOMENT = re.compile(r"(.+?)(\.weight)?\.momentum_?1")
# The key of a table: FusedEmbeddingBagCollection's, or that of the module's state dict.
_TABLE = re.compile(r"(?:.+\.)?(?:embedding_bags|embeddings)\.(.+)\.weight")


def torchrec_optimizer_state(
    layer: keras.layers.Layer,
    optimizer: Any,
    distributed: bool = False,
    keep_oov_rows: bool = False,
) -> dict[str, dict[str, Any]]:
    """Returns the tables' optimizer state as TorchRec's fused optimizer keeps it.

    The "state" of `FusedEmbeddingBagCollection.fused_optimizer().state_dict()`: for each table
    the sums of squared gradients, `(num_embeddings,)` of row-wise Adagrad or
    `(num_embeddings, embedding_dim)` of Adagrad. Dense layers' state is not part of it.

    Args:
        layer: an `EmbeddingBagCollection`, or a model with one.
        optimizer: the `RowWiseAdagrad` or `Adagrad` of `tfrec_models.optimizers` that the tables
            are trained with, or a `CompositeOptimizer` or `LossScaleOptimizer` around it.
        distributed: bool, whether to use the names of `DistributedModelParallel.fused_optimizer`:
            the table's key in the state dict, and `<table>.momentum1`.
        keep_oov_rows: bool, whether tables with the "oov" id policy have `num_embeddings + 1` rows
            in the result: see `torchrec_state_dict`.

    Returns:
        A dict from `<table>.weight` to a dict from `<table>.weight.momentum_1` to NumPy array.

    Raises:
        TypeError: on a layer without tables, or another optimizer; with distributed, on one
            TorchRec has no counterpart of.

    Example:

    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.interop.torchrec import torchrec_optimizer_state
    >>> from tfrec_models.optimizers import RowWiseAdagrad
    >>> ebc = EmbeddingBagCollection(tables=[EmbeddingBagConfig(10, 4, "t1")])
    >>> state = torchrec_optimizer_state(ebc, RowWiseAdagrad())
    >>> state["t1.weight"]["t1.weight.momentum_1"].shape
    (10,)
    """
    entries = _slot_entries(layer, optimizer)
    if distributed:
        tables = {
            entry.name: key
            for key, entry in torchrec_entries(layer).items()
            if isinstance(entry, TableEntry)
        }
        return {
            tables[name]: {f"{name}.momentum1": entry.read(keep_oov_rows)}
            for name, entry in entries.items()
        }
    return {
        f"{name}.weight": {f"{name}.weight.momentum_1": entry.read(keep_oov_rows)}
        for name, entry in entries.items()
    }


def load_torchrec_optimizer_state(
    layer: keras.layers.Layer, optimizer: Any, state: Mapping[str, Any], strict: bool = True
) -> None:
    """Sets the tables' optimizer state from that of TorchRec's fused optimizer.

    All values are converted and checked before the first is written: nothing is changed unless
    everything fits. For tables with the "oov" id policy see `load_torchrec_state_dict`.

    Args:
        layer: an `EmbeddingBagCollection`, or a model with one.
        optimizer: as in `torchrec_optimizer_state`.
        state: what `torchrec_optimizer_state` returns, with arrays or torch tensors; the
            `state_dict()` of a `FusedEmbeddingBagCollection`'s `fused_optimizer()`, of a
            `DistributedModelParallel`'s `fused_optimizer` or of a `CombinedOptimizer` with one in
            it, or their "state". State of dense weights in it is left out.
        strict: bool, whether keys that are missing or unknown are errors.

    Raises:
        ValueError: on missing, unexpected, misshapen and unreadable values.
        TypeError: as `torchrec_optimizer_state`; if state is no dict of dicts.

    Example:

    >>> import numpy as np
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.interop.torchrec import load_torchrec_optimizer_state
    >>> from tfrec_models.optimizers import RowWiseAdagrad
    >>> ebc = EmbeddingBagCollection(tables=[EmbeddingBagConfig(10, 4, "t1")])
    >>> load_torchrec_optimizer_state(
    ...     ebc, RowWiseAdagrad(), {"t1.weight": {"t1.weight.momentum_1": np.ones(10)}}
    ... )
    """
    entries = {
        f"{name}.weight.momentum_1": entry
        for name, entry in _slot_entries(layer, optimizer).items()
    }
    moments = _moments(state)
    for key in entries.keys() & moments.keys():
        # The sums of TorchRec's own RowWiseAdagrad, of replicated tables, are a column.
        if getattr(moments[key], "shape", None) == (*entries[key].shape, 1):
            moments[key] = moments[key][:, 0]
    write_entries(entries, moments, strict, f"the state of {optimizer.name!r}", _hint)


def _moments(state):
    """The values of a fused optimizer's state under FusedEmbeddingBagCollection's names."""
    if isinstance(state, Mapping) and isinstance(state.get("state"), Mapping):
        state = state["state"]
    if not isinstance(state, Mapping) or not all(
        isinstance(values, Mapping) for values in state.values()
    ):
        raise TypeError(
            "state must be a dict from table to a dict of its moments, received "
            f"{_described(state)}. Give fused_optimizer().state_dict()."
        )
    moments = {}
    for key, values in state.items():
        table = _TABLE.fullmatch(str(key))
        for name, value in values.items():
            moment = _MOMENT.fullmatch(str(name))
            if moment:
                target = f"{moment[1]}.weight.momentum_1"
            elif not table:
                continue
            elif name == "sum":
                # A table that DistributedModelParallel replicates has an optimizer that is not
                # fused: torch's Adagrad, or TorchRec's RowWiseAdagrad.
                target = f"{table[1]}.weight.momentum_1"
            elif name == "step":
                continue
            else:
                target = f"{key}/{name}"
            if target in moments:
                raise ValueError(f"The state has two values for {target}; nothing was changed.")
            moments[target] = value
    return moments


def _described(state):
    if not isinstance(state, Mapping):
        return type(state).__name__
    return "a dict of " + ", ".join(sorted({type(value).__name__ for value in state.values()}))


def _hint(state, entries):
    """What a state that does not fit may be."""
    for key, entry in entries.items():
        shape, expected = tuple(getattr(state.get(key), "shape", ())), entry.shape
        if shape in ((), *entry.shapes):
            continue
        if len(shape) == len(expected) == 1 and shape[0] % expected[0] == 0:
            return (
                "A table sharded by columns has one moment for each row and shard, which do not "
                "add up to RowWiseAdagrad's. Shard it by tables or rows."
            )
        if len(shape) != len(expected):
            return "Row-wise Adagrad keeps one number for each row, Adagrad one for each weight."
    return None


def _slot_entries(layer, optimizer):
    """Returns a dict from table to the `TableEntry` of its moments."""
    collections = tables_in(layer)
    if not collections:
        raise TypeError(
            "layer must be an EmbeddingBagCollection or a model with one, received "
            f"{type(layer).__name__}."
        )
    if not layer.built:
        layer.build()
    if not optimizer.built:
        optimizer.build(layer.trainable_variables)
    rule = _rule_for_tables(optimizer)
    entries = {}
    for collection in collections:
        for table in collection.tables:
            variable, stack = collection.stack_of(table.name)
            slot = rule.slots_of(variable)["accumulator"]
            entries[table.name] = table_entry(slot, stack, table.name)
    return entries


def _rule_for_tables(optimizer):
    optimizer = table_optimizer(optimizer)
    if not isinstance(optimizer, (Adagrad, RowWiseAdagrad)):
        raise TypeError(
            "TorchRec's counterpart of the tables' optimizer must be EXACT_ADAGRAD or "
            f"EXACT_ROWWISE_ADAGRAD, received {type(optimizer).__name__}; use Adagrad or "
            "RowWiseAdagrad of tfrec_models.optimizers."
        )
    return optimizer
