"""Rows of ids that come and go."""

import random

import keras
import numpy as np
import tensorflow as tf

from tfrec_models._rows.sharding import on_servers
from tfrec_models._rows.variables import made_once
from tfrec_models.embeddings import id_map_stock
from tfrec_models.embeddings.id_map_layout import BUCKET_ROWS, IdMapLayout
from tfrec_models.embeddings.id_map_state import Elements, IdMapState
from tfrec_models.embeddings.managed_ids import ManagedIds
from tfrec_models.native.id_map import admit as native_admit
from tfrec_models.native.lookup import reaches


_NO_COPIES = (
    "Managed ids need a copy of the map from ids to rows on each replica, received {} with several "
    "replicas, which share one. Train on one device, or under MirroredStrategy or "
    "MultiWorkerMirroredStrategy; or give the tables id_policy='hash'."
)


class IdMap(keras.layers.Layer):
    """Which row of its table each id has, for the managed tables of one stack.

    Beside 8 bytes for the id of each row it keeps 4 for when it was used last, 4 for how often
    (with evict="lfu"), about 4 of sketch (with admit_after above 1) and half a byte for its group.

    Args:
        stack: `TableStack` with a managed table.
        initializer: `TableInitializer` of the stack.
    """

    def __init__(self, stack, initializer, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.supports_jit = False
        self._num_rows = stack.num_rows
        self._initializer = initializer
        self.layout = IdMapLayout(managed_tables(stack))
        self._first_rows = [stack.first_rows[name] for name in self.layout.names]

    def build(self):
        """Makes the variables; no id has a row then."""
        if self.built:
            return
        check_strategy()
        layout = self.layout
        slots = (layout.total_buckets, BUCKET_ROWS)
        sizes = {
            "ids": (slots, "int64"),
            "used": (slots, "int32"),
            "uses": (slots, "int32") if layout.counts_uses else None,
            "filled": ((layout.total_buckets,), "int32"),
            "reach": ((layout.total_buckets,), "int32"),
            "cells": ((layout.total_cells,), "int32") if layout.total_cells else None,
            "tallies": ((6 * len(layout.names),), "int64"),
            "step": ((1,), "int64"),
        }
        self._parts = {
            name: size and self._add(name, *size, "zeros") for name, size in sizes.items()
        }
        seed = keras.initializers.Constant(random.randint(0, 2**31 - 1))
        self.seed = self._add("seed", (1,), "int64", seed)
        self.reused = self._add("reused", (self._num_rows,), "bool", "zeros")
        self.built = True

    def _add(self, name, shape, dtype, initializer):
        with made_once():
            return self.add_weight(
                name=name, shape=shape, dtype=dtype, initializer=initializer, trainable=False
            )

    @property
    def state(self):
        """The variables as `IdMapState`."""
        parts = self._parts.items()
        return IdMapState(**{name: part if part is None else part.value for name, part in parts})

    def rows_of(self, ids, tables):
        """Returns the row of each id within its table, -1 where it has none; changes nothing.

        Args:
            ids: int64 tensor (n,).
            tables: int32 tensor (n,), numbers of managed tables.
        """
        slots = id_map_stock.find_slots(self.state, self.layout, ids, tables)
        return self._rows_of_slots(slots, tables)

    def admit(self, ids, tables):
        """As `rows_of`, in training: ids are counted and given rows.

        Args:
            ids, tables: those of this replica. All replicas admit the ids of all.

        Returns:
            The rows, and the rows of the stack that were another id's, each once.
        """
        replica = tf.distribute.get_replica_context()
        local, state = None, self.state
        if replica.num_replicas_in_sync > 1:
            if not isinstance(state.ids.variable, tf.distribute.DistributedValues):
                raise ValueError(_NO_COPIES.format(type(replica.strategy).__name__))
            sizes = replica.all_gather(tf.shape(ids), 0)
            begin = tf.reduce_sum(sizes[: replica.replica_id_in_sync_group])
            local = begin, tf.size(ids)
            ids, tables = replica.all_gather(ids, 0), replica.all_gather(tables, 0)
        admit = native_admit if reaches(state.ids.variable) else id_map_stock.admit
        slots, evicted = admit(state, self.layout, ids, tables)
        rows = self._rows_of_slots(slots, tables)
        if local is not None:
            begin, size = local
            rows = rows[begin : begin + size]
        table = tf.searchsorted(self._ends(), evicted, side="right")
        shift = tf.constant(self._first_rows, tf.int64) - self._starts()
        return rows, evicted + tf.gather(shift, table)

    def restart_rows(self, variable, rows):
        """Gives rows that change their id new initial values, and marks them for optimizers.

        Args:
            variable: `tf.Variable` of the stack.
            rows: int64 tensor (n,), of what `admit` returned.
        """
        seed = tf.concat([self.seed.value[:1], self.state.step.get([0])], axis=0)
        values = self._initializer.draw_rows(rows, variable.dtype, seed)
        Elements(variable).put(rows, values)
        Elements(self.reused.value).put(rows, tf.ones_like(rows, tf.bool))

    def _rows_of_slots(self, slots, tables):
        starts = self.layout.of(self.layout.first_bucket * BUCKET_ROWS, tables)
        return tf.where(slots < 0, slots, slots - starts)

    def _starts(self):
        return tf.constant(self.layout.first_bucket * BUCKET_ROWS, tf.int64)

    def _ends(self):
        ends = (self.layout.first_bucket + self.layout.num_buckets) * BUCKET_ROWS
        return tf.constant(ends[:-1], tf.int64)

    def ids_of(self, table):
        """Returns the ids of one table that have a row, and their rows: NumPy arrays."""
        first, count = self.layout.slots_of(table)
        buckets = tf.range(first // BUCKET_ROWS, -(-(first + count) // BUCKET_ROWS))
        state = self.state
        filled = state.filled.get(buckets).numpy()
        is_filled = np.arange(BUCKET_ROWS) < filled[:, np.newaxis]
        ids = state.ids.of_buckets(buckets).numpy()
        return ids[is_filled], np.flatnonzero(is_filled)


def check_strategy(strategy=None):
    """Refuses a strategy under which several workers would admit ids, each others.

    Args:
        strategy: `tf.distribute.Strategy`, that in scope if it is not given.

    Raises:
        ValueError: on a ParameterServerStrategy.
    """
    if on_servers(strategy):
        raise ValueError(
            "Tables with managed ids cannot be trained on parameter servers, whose workers see "
            "different ids, received ParameterServerStrategy. Train under MirroredStrategy or "
            "MultiWorkerMirroredStrategy, or give the tables id_policy='hash'."
        )


def managed_tables(stack):
    """The tables of a stack that have `ManagedIds`."""
    return [table for table in stack.tables if isinstance(table.id_policy, ManagedIds)]
