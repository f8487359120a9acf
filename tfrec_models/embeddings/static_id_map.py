"""A map from ids to rows that changes no more, for exports."""

import numpy as np
import tensorflow as tf

# Ids of a group in a full table, on average; of the largest all are compared with each id.
_IDS_A_GROUP = 2
# More than the largest group is likely to have.
_PADDING = 64
# Odd multipliers that are tried: that of the golden ratio, and pseudo-random ones.
_MULTIPLIERS = [0x9E3779B97F4A7C15, *np.random.default_rng(0).integers(1, 2**63, 7).tolist()]


class StaticIdMap:
    """Finds the rows of ids in one pass, without a loop: ids in groups by a hash of theirs.

    The hash is one multiplication, with the multiplier that makes the largest group smallest.

    Args:
        id_map: that of a stack, of which it takes what is in it now.
    """

    def __init__(self, id_map):
        self._layout = id_map.layout
        owned = [id_map.ids_of(name) for name in self._layout.names]
        # By the rows, not the ids, so that every export of a model has variables of these sizes.
        self._groups = np.maximum(self._layout.num_rows // _IDS_A_GROUP, 1)
        self._first_groups = np.cumsum(self._groups) - self._groups
        ids, rows = (np.concatenate(parts) for parts in zip(*owned, strict=True))
        tables = np.repeat(np.arange(len(owned)), [len(of_table) for of_table, _ in owned])
        self._width, self._multiplier = min(
            (self._sizes(ids, tables, multiplier | 1).max(), multiplier | 1)
            for multiplier in _MULTIPLIERS
        )
        sizes = self._sizes(ids, tables, self._multiplier)
        ends = np.cumsum(sizes)
        order = np.argsort(self._groups_of(ids, tables, self._multiplier), kind="stable")
        # Behind them, so that all groups can be compared over the same width, and a row of none.
        free = int(self._layout.num_rows.sum()) - len(ids)
        padding = np.zeros(free + max(self._width, _PADDING), np.int64)
        self._ids = _constant(np.concatenate([ids[order], padding]))
        self._rows = _constant(np.concatenate([rows[order], padding - 1]).astype(np.int32))
        self._bounds = _constant(np.stack([ends - sizes, ends], axis=1).astype(np.int32))
        self._no_place = len(ids)

    def __call__(self, ids, tables):
        """Returns the row of each id within its table, -1 where it has none.

        Args:
            ids: int64 tensor (n,).
            tables: int32 tensor (n,), numbers of managed tables.
        """
        bounds = tf.gather(self._bounds, self._groups_of(ids, tables, self._multiplier))
        first, end = tf.split(bounds, 2, axis=1)
        places = first + tf.range(self._width, dtype=tf.int32)
        is_it = (tf.gather(self._ids, places) == ids[:, tf.newaxis]) & (places < end)
        # An id is in its group once or not at all.
        place = tf.reduce_min(tf.where(is_it, places, self._no_place), axis=1)
        return tf.cast(tf.gather(self._rows, place), tf.int64)

    def _groups_of(self, ids, tables, multiplier):
        """The group of each id: the upper half of the product, scaled to the number of groups."""
        signed = multiplier - 2**64 if multiplier >= 2**63 else multiplier
        half = tf.bitwise.right_shift(tf.constant(signed, tf.int64) * ids, 32)
        number = self._layout.of(self._groups, tables)
        group = tf.bitwise.right_shift(tf.bitwise.bitwise_and(half, 2**32 - 1) * number, 32)
        return group + self._layout.of(self._first_groups, tables)

    def _sizes(self, ids, tables, multiplier):
        groups = self._groups_of(tf.constant(ids), tables, multiplier)
        return np.bincount(groups, minlength=self._groups.sum())


def _constant(array):
    return tf.Variable(array, trainable=False)
