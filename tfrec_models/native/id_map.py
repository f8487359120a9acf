"""Admission of managed ids in one operation."""

from tfrec_models.native.library import kernels


def admit(state, layout, ids, tables):
    """Finds the slots of a batch in training: counts uses, admits ids, evicts others.

    Equal in every slot to `embeddings.id_map_stock.admit`.

    Args:
        state: `IdMapState` of variables that the kernels reach.
        layout: `IdMapLayout`.
        ids: int64 tensor (n,).
        tables: int32 tensor (n,), the number of each one's table.

    Returns:
        The slots (n,), and those of them that were another id's before this, each once.
    """
    optional = {"uses": state.uses, "cells": state.cells}
    return kernels().tfrec_admit_ids(
        ids=ids,
        tables=tables,
        owners=state.ids.variable.handle,
        used=state.used.variable.handle,
        filled=state.filled.variable.handle,
        reach=state.reach.variable.handle,
        tallies=state.tallies.variable.handle,
        step=state.step.variable.handle,
        **{name: [] if part is None else [part.variable.handle] for name, part in optional.items()},
        num_rows=layout.num_rows.tolist(),
        num_buckets=layout.num_buckets.tolist(),
        modulus=layout.modulus.tolist(),
        admit_after=layout.admit_after.tolist(),
        eviction=layout.eviction.tolist(),
        ttl=layout.ttl.tolist(),
        half_cells=layout.cells.tolist(),
    )
