"""Optimizer state of embedding tables to and from TorchRec's fused optimizers."""

from tfrec_models.embeddings.embedding_tables import EmbeddingTables
from tfrec_models.interop.torchrec.state_dict import write_entries
from tfrec_models.interop.torchrec.weight_entry import TableEntry
from tfrec_models.optimizers import Adagrad, RowWiseAdagrad
from tfrec_models.optimizers.unwrap import table_optimizer


def torchrec_optimizer_state(layer, optimizer):
    """Returns the tables' optimizer state as TorchRec's fused optimizer keeps it.

    The "state" of `FusedEmbeddingBagCollection.fused_optimizer().state_dict()`: for each table
    the sums of squared gradients, `(num_embeddings,)` of row-wise Adagrad or
    `(num_embeddings, embedding_dim)` of Adagrad. Dense layers' state is not part of it.

    Args:
        layer: an `EmbeddingBagCollection`, or a model with one.
        optimizer: the `RowWiseAdagrad` or `Adagrad` of `tfrec_models.optimizers` that the tables
            are trained with, or a `CompositeOptimizer` or `LossScaleOptimizer` around it.

    Returns:
        A dict from `<table>.weight` to a dict from `<table>.weight.momentum_1` to NumPy array.

    Raises:
        TypeError: on a layer without tables, or another optimizer.

    Example:

    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.interop.torchrec import torchrec_optimizer_state
    >>> from tfrec_models.optimizers import RowWiseAdagrad
    >>> ebc = EmbeddingBagCollection(tables=[EmbeddingBagConfig(10, 4, "t1")])
    >>> state = torchrec_optimizer_state(ebc, RowWiseAdagrad())
    >>> state["t1.weight"]["t1.weight.momentum_1"].shape
    (10,)
    """
    return {
        key.removesuffix(".momentum_1"): {key: entry.read()}
        for key, entry in _slot_entries(layer, optimizer).items()
    }


def load_torchrec_optimizer_state(layer, optimizer, state, strict=True):
    """Sets the tables' optimizer state from that of TorchRec's fused optimizer.

    Nothing is changed unless everything fits.

    Args:
        layer: an `EmbeddingBagCollection`, or a model with one.
        optimizer: as in `torchrec_optimizer_state`.
        state: what `torchrec_optimizer_state` returns, with arrays or torch tensors.
        strict: bool, whether keys that are missing or of no use are errors.

    Raises:
        ValueError: naming all missing, unexpected and misshapen keys at once.
        TypeError: as `torchrec_optimizer_state`.

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
    entries = _slot_entries(layer, optimizer)
    moments = {key: value for table in state.values() for key, value in table.items()}
    write_entries(entries, moments, strict, f"the state of {optimizer.name!r}")


def _slot_entries(layer, optimizer):
    tables = _tables_of(layer)
    if not layer.built:
        layer.build()
    if not optimizer.built:
        optimizer.build(layer.trainable_variables)
    rule = _rule_for_tables(optimizer)
    entries = {}
    for table in tables.tables:
        variable, stack = tables.stack_of(table.name)
        slot = rule.slots_of(variable)["accumulator"]
        entries[f"{table.name}.weight.momentum_1"] = TableEntry(slot, stack, table.name)
    return entries


def _tables_of(layer):
    if isinstance(layer, EmbeddingTables):
        return layer
    # DLRMTrain keeps the model it wraps.
    collection = getattr(getattr(layer, "model", layer), "embedding_bag_collection", None)
    if collection is None:
        raise TypeError(
            "layer must be an EmbeddingBagCollection or a model with one, received "
            f"{type(layer).__name__}."
        )
    return collection


def _rule_for_tables(optimizer):
    optimizer = table_optimizer(optimizer)
    if not isinstance(optimizer, (Adagrad, RowWiseAdagrad)):
        raise TypeError(
            "TorchRec's counterpart of the tables' optimizer must be EXACT_ADAGRAD or "
            "EXACT_ROWWISE_ADAGRAD: use Adagrad or RowWiseAdagrad of tfrec_models.optimizers. "
            f"Received {type(optimizer).__name__}."
        )
    return optimizer
