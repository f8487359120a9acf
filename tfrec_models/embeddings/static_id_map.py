"""A map from ids to rows that no longer changes, for exports."""

import numpy as np
import tensorflow as tf

from tfrec_models.embeddings.id_policy import DROPPED

# Rows for each group of ids, at most, and places for each row.
_ROWS_A_GROUP = 4
_PLACES_A_ROW = 1.25
# Multipliers that are tried for a group before everything begins again with another hash.
_TRIALS = 4096


class StaticIdMap:
    """Finds the rows of ids in a stack without a loop and without comparing an id with others.

    A perfect hash: a first one gives the id's group, and each group has a multiplier that takes its
    ids to places that belong to no other. All tables of the stack are looked up together, in
    operations as few as can be: at 64 examples each costs more than its work.

    The sizes of the variables follow from the tables' rows, not their ids, so that every export of
    a model has the same.

    Reference:
        Belazzougui, Botelho and Dietzfelbinger, Hash, Displace, and Compress (ESA 2009).

    Args:
        stack: `TableStack` with an id map, of which it takes what is in it now.
    """

    def __init__(self, stack):
        id_map = stack.id_map
        tables = [stack.table(name) for name in id_map.layout.names]
        owned = [id_map.ids_of(table.name) for table in tables]
        num_rows = id_map.layout.num_rows
        groups = np.maximum(-(-num_rows // _ROWS_A_GROUP), 2)
        # Powers of two, so that a group is some bits of the hash.
        self._bits = np.array([int(count - 1).bit_length() for count in groups.tolist()])
        self._sizes = 2 * np.ceil(num_rows * _PLACES_A_ROW / 2 + 2).astype(np.int64)
        self._names = id_map.layout.names
        # Arithmetic shifts give numbers around 0: the middle of each table's part is added to them.
        self._first_groups = _starts(2**self._bits)
        self._first_places = _starts(self._sizes)
        rng = np.random.default_rng(0)
        while True:
            # Keys all differ in the upper bits of one product or of another.
            self._hash = (int(rng.integers(2**63)) << 1 | 1, int(rng.integers(2**63)))
            found = self._place([ids for ids, _ in owned], rng)
            if found is not None:
                break
        multipliers, places = found
        ids = np.zeros(self._sizes.sum(), np.int64)
        rows = np.empty(len(ids), stack.index_dtype.as_numpy_dtype)
        for number, (table, (own_ids, own_rows)) in enumerate(zip(tables, owned, strict=True)):
            first = self._first_places[number]
            # What a place of no id says, and one of another id.
            rows[first : first + self._sizes[number]] = _unknown_row(stack, table)
            ids[places[number]] = own_ids
            rows[places[number]] = stack.first_rows[table.name] + own_rows
        self._multipliers, self._ids, self._rows = map(_constant, (multipliers, ids, rows))

    def __call__(self, stack, bags, spread):
        """Returns the row of the stack for each id, or `DROPPED`; of other columns any number.

        Args:
            stack: `TableStack`, with all columns or some.
            bags: `BagBatch` of int64 ids.
            spread: `bags.spreader()`.
        """
        numbers = [
            self._names.index(table.name) if table.is_managed else 0
            for table in stack.column_tables
        ]

        def of(values):
            return spread([int(values[number]) for number in numbers], tf.int64)

        factor, added = self._hash
        hashes = bags.ids * _signed(factor) + _signed(added)
        shift = tf.bitwise.right_shift
        middle = self._first_groups + 2 ** (self._bits - 1)
        groups = shift(hashes, of(64 - self._bits)) + of(middle)
        products = hashes * tf.gather(self._multipliers, groups)
        scaled = shift(shift(products, 33) * of(self._sizes), 31)
        places = scaled + of(self._first_places + self._sizes // 2)
        is_known = tf.equal(tf.gather(self._ids, places), bags.ids)
        unknown = [
            _unknown_row(stack, table) if table.is_managed else 0 for table in stack.column_tables
        ]
        return tf.where(is_known, tf.gather(self._rows, places), spread(unknown, self._rows.dtype))

    def _place(self, ids, rng):
        """Returns the groups' multipliers and the place of each table's ids, or None."""
        multipliers = np.ones(int((2**self._bits).sum()), np.int64)
        factor, added = (np.uint64(part) for part in self._hash)
        tried = (rng.integers(2**63, size=_TRIALS, dtype=np.uint64) << np.uint64(1)) | np.uint64(1)
        places = []
        for number, own in enumerate(ids):
            hashes = own.astype(np.uint64) * factor + added
            # As numbers from 0 on; of signed ones the lookup adds half.
            groups = (hashes + np.uint64(2**63)) >> np.uint64(64 - self._bits[number])
            found = _perfect_hash(hashes, groups.astype(np.int64), int(self._sizes[number]), tried)
            if found is None:
                return None
            trials, own_places = found
            own_groups = self._first_groups[number] + np.arange(2 ** self._bits[number])
            multipliers[own_groups] = tried[trials].view(np.int64)
            places.append(self._first_places[number] + own_places)
        return multipliers, places


def _perfect_hash(hashes, groups, size, tried):
    """Returns the trial that each group ends with, and the place of each hash; None without one.

    Large groups choose first. In each round all groups that have none try one multiplier; of those
    that want the same place one gets it.

    Args:
        hashes: uint64 array (n,), distinct.
        groups: int64 array (n,).
        size: int, how many places there are.
        tried: uint64 array of odd multipliers.
    """
    order = np.argsort(groups, kind="stable")
    names, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
    trials = np.zeros(groups.max(initial=0) + 1, np.int64)
    places = np.zeros(len(hashes), np.int64)
    is_taken, claims = np.zeros(size, bool), np.zeros(size, np.int64)
    for count in np.unique(counts)[::-1].tolist():
        waiting = np.flatnonzero(counts == count)
        for trial, multiplier in enumerate(tried):
            members = order[starts[waiting][:, np.newaxis] + np.arange(count)]
            wanted = _place_of(hashes[members] * multiplier, size)
            # Each cell of a group claims its place; a group gets all of its places or none.
            claim = np.arange(wanted.size).reshape(wanted.shape)
            free = ~is_taken[wanted].any(axis=1)
            claims[wanted[free]] = claim[free]
            gets = free & (claims[wanted] == claim).all(axis=1)
            is_taken[wanted[gets]] = True
            places[members[gets]] = wanted[gets]
            trials[names[waiting[gets]]] = trial
            waiting = waiting[~gets]
            if not len(waiting):
                break
        else:
            return None
    return trials, places


def _place_of(products, size):
    """As the lookup does it: the upper 31 bits as a signed number, scaled, from the middle on."""
    upper = products.view(np.int64) >> 33
    return (upper * size >> 31) + size // 2


def _unknown_row(stack, table):
    """The row that an id without one reads."""
    if table.row_policy == "drop":
        return DROPPED
    return stack.first_rows[table.name] + table.num_embeddings


def _starts(sizes):
    return np.cumsum(sizes) - sizes


def _signed(number):
    return tf.constant(number - 2**64 if number >= 2**63 else number, tf.int64)


def _constant(array):
    return tf.Variable(array, trainable=False)
