"""Rows of ids that change in training."""

import random

import keras
import numpy as np
import tensorflow as tf

from tfrec_models._compat.keras import stored_dataset
from tfrec_models._rows.sharding import on_servers
from tfrec_models._rows.variables import made_once
from tfrec_models.embeddings import id_map_stock
from tfrec_models.embeddings.id_map_layout import BUCKET_ROWS, IdMapLayout
from tfrec_models.embeddings.id_map_state import Elements, IdMapState
from tfrec_models.embeddings.managed_ids import ManagedIds


class _IdMap(keras.layers.Layer):
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
        self._first_rows = np.array([stack.first_rows[name] for name in self.layout.names])

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

    def find_rows(self, ids, tables):
        """Returns the row of each id within its table, -1 where it has none; changes nothing.

        Args:
            ids: int64 tensor (n,).
            tables: int32 tensor (n,), numbers of managed tables.
        """
        return id_map_stock.find(self.state, self.layout, ids, tables)

    def restart_rows(self, variable, slots):
        """Gives rows that change their id new initial values, and marks them for optimizers.

        Args:
            variable: `tf.Variable` of the stack.
            slots: int64 tensor (n,), those of the rows.
        """
        starts = self.layout.first_bucket * BUCKET_ROWS
        table = tf.searchsorted(tf.constant(starts[1:], tf.int64), slots, side="right")
        rows = slots + tf.gather(tf.constant(self._first_rows - starts, tf.int64), table)
        seed = tf.concat([self.seed.value[:1], self.state.step.get([0])], axis=0)
        values = self._initializer.draw_rows(rows, variable.dtype, seed)
        Elements(variable).put(rows, values)
        Elements(self.reused.value).put(rows, tf.ones_like(rows, tf.bool))

    def ids_of(self, table):
        """Returns the ids of one table that have a row, and their rows: NumPy arrays."""
        first, count = self.layout.slots_of(table)
        buckets = tf.range(first // BUCKET_ROWS, -(-(first + count) // BUCKET_ROWS))
        state = self.state
        filled = state.filled.get(buckets).numpy()
        is_filled = np.arange(BUCKET_ROWS) < filled[:, np.newaxis]
        ids = state.ids.of_buckets(buckets).numpy()
        return ids[is_filled], np.flatnonzero(is_filled)

    def tallies(self):
        """Returns a dict from table to (counts since it was made, share of rows with an id)."""
        numbers = self._parts["tallies"].numpy().reshape(len(self.layout.names), -1).tolist()
        names = ("hits", "unknown", "admitted", "evicted")
        return {
            table: (dict(zip(names, row, strict=False)), row[id_map_stock.OCCUPIED] / rows)
            for table, row, rows in zip(
                self.layout.names, numbers, self.layout.num_rows.tolist(), strict=True
            )
        }

    def take_over(self, other, table):
        """Takes the ids of another map's table, those used last first, as far as there is space.

        Args:
            other: the id map of another stack.
            table: str, the table's name in both.
        """
        ids, old_rows = other.ids_of(table)
        is_new = ~np.isin(ids, self.ids_of(table)[0])
        ids, old_rows = ids[is_new], old_rows[is_new]
        first, _ = other.layout.slots_of(table)
        slots = tf.constant(first + old_rows, tf.int64)
        used = other.state.used.get(slots).numpy()
        uses = np.ones_like(used) if other.state.uses is None else other.state.uses.get(slots)
        order = np.lexsort([ids, -used])
        number = self.layout.names.index(table)
        id_map_stock.insert(
            self.state,
            self.layout,
            tf.constant(ids[order], tf.int64),
            tf.fill([len(order)], number),
            tf.constant(used[order], tf.int32),
            tf.gather(uses, order),
        )
        self._parts["step"].assign(np.maximum(self._parts["step"], other.state.step.get([0])))

    def load_own_variables(self, store):
        """Loads the map if it is of tables of the same names, sizes and settings."""
        found = {key: tuple(stored_dataset(store, key).shape) for key in list(store.keys())}
        others = [
            f"{weight.name} {found.get(str(i), 'none')} where the model has {tuple(weight.shape)}"
            for i, weight in enumerate(self.weights)
            if found.get(str(i)) != tuple(weight.shape)
        ]
        if others or len(found) != len(self.weights):
            sizes = dict(zip(self.layout.names, self.layout.num_rows.tolist(), strict=True))
            raise ValueError(
                f"A file must have the ids of the tables with managed ids, {sizes} rows, received "
                f"{', '.join(others) or 'further variables'}: those of tables of another size or "
                "policy. Make the tables as they were saved, with the same id_policy, or take the "
                "ids of another model over with warm_start."
            )
        super().load_own_variables(store)


def make_id_map(stack, initializer, name):
    """Returns the id map of a stack's managed tables, built.

    Args:
        stack: `TableStack` with a managed table.
        initializer: `TableInitializer` of the stack.
        name: str.
    """
    id_map = _IdMap(stack, initializer, name=name)
    id_map.build()
    return id_map


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
