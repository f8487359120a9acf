"""A map from ids to rows that changes no more, for exports."""

import numpy as np
import tensorflow as tf

from tfrec_models.embeddings.id_hash import mix, upper_half

# Ids of a group on average; the largest group decides how many are compared for each id.
_IDS_A_GROUP = 2


class StaticIdMap:
    """Finds the rows of ids in one pass, without a loop: ids sorted by hash, in groups.

    Args:
        id_map: `IdMap`, of which it takes what is in it now.
    """

    def __init__(self, id_map):
        layout = id_map.layout
        ids, rows, starts, self._groups = [], [], [np.zeros(1, np.int64)], []
        for name in layout.names:
            of_table, rows_of_table = id_map.ids_of(name)
            number = max(len(of_table) // _IDS_A_GROUP, 1)
            group = _group_of(tf.constant(of_table), number).numpy()
            order = np.argsort(group, kind="stable")
            sizes = np.bincount(group, minlength=number)
            starts.append(starts[-1][-1] + np.cumsum(sizes))
            ids.append(of_table[order])
            rows.append(rows_of_table[order])
            self._groups.append(number)
        starts = np.concatenate(starts)
        # Those of the last group may be fewer than are compared.
        self._width = int(np.diff(starts).max(initial=1))
        padding = np.zeros(self._width, np.int64)
        self._ids = tf.Variable(np.concatenate([*ids, padding]), trainable=False)
        self._rows = tf.Variable(
            np.concatenate([*rows, padding]).astype(np.int32), trainable=False
        )
        self._starts = tf.Variable(starts.astype(np.int32), trainable=False)
        self._layout = layout

    def __call__(self, ids, tables):
        """Returns the row of each id within its table, -1 where it has none.

        Args:
            ids: int64 tensor (n,).
            tables: int32 tensor (n,), numbers of managed tables.
        """
        groups = np.array(self._groups)
        number = self._layout.of(groups, tables)
        first_group = self._layout.of(np.cumsum(groups) - groups, tables)
        group = first_group + _group_of(ids, number)
        bounds = tf.gather(self._starts, tf.stack([group, group + 1], axis=1))
        places = bounds[:, :1] + tf.range(self._width)
        is_it = (tf.gather(self._ids, places) == ids[:, tf.newaxis]) & (places < bounds[:, 1:])
        # An id is in its group once or not at all.
        place = tf.reduce_max(tf.where(is_it, places, -1), axis=1)
        rows = tf.gather(self._rows, tf.maximum(place, 0))
        return tf.cast(tf.where(place < 0, -1, rows), tf.int64)


def _group_of(ids, number):
    return tf.bitwise.right_shift(upper_half(mix(ids)) * tf.cast(number, tf.int64), 32)
