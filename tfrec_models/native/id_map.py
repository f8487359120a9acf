"""Admission of managed ids in one operation."""

import tensorflow as tf

from tfrec_models.native.library import kernels


def admit(state, layout, ids, tables):
    """Finds the rows of a batch in training: counts uses, admits ids, evicts others.

    Equal in every row to `embeddings.id_map_stock.admit`.

    Args:
        state: `IdMapState` of variables that the kernels reach.
        layout: `IdMapLayout`.
        ids: int64 tensor (n,).
        tables: int32 tensor (n,), the number of each one's table.

    Returns:
        The row of each id within its table, -1 where it has none, and the slots that were another
        id's before this, each once.
    """
    return _admit(state, layout, ids, [], [tables], by_example=False, column_tables=[])


def admit_bags(state, layout, bags, column_tables):
    """As `admit`, of bags as they lie.

    Args:
        state, layout: as there.
        bags: `BagBatch` of int64 ids.
        column_tables: list of int, the number of each column's table; -1 for columns whose ids are
            not managed, which are returned as they are.
    """
    splits = [] if bags.is_single else [tf.cast(bags.row_splits, tf.int64)]
    return _admit(state, layout, bags.ids, splits, [], bags.by_example, column_tables)


def _admit(state, layout, ids, row_splits, tables, by_example, column_tables):
    optional = {"uses": state.uses, "cells": state.cells}
    return kernels().tfrec_admit_ids(
        ids=ids,
        owners=state.ids.variable.handle,
        used=state.used.variable.handle,
        filled=state.filled.variable.handle,
        reach=state.reach.variable.handle,
        tallies=state.tallies.variable.handle,
        step=state.step.variable.handle,
        **{name: [] if part is None else [part.variable.handle] for name, part in optional.items()},
        row_splits=row_splits,
        tables=tables,
        by_example=by_example,
        column_tables=column_tables,
        num_rows=layout.num_rows.tolist(),
        num_buckets=layout.num_buckets.tolist(),
        modulus=layout.modulus.tolist(),
        admit_after=layout.admit_after.tolist(),
        eviction=layout.eviction.tolist(),
        ttl=layout.ttl.tolist(),
        half_cells=layout.cells.tolist(),
    )
