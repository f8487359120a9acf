"""Rows of managed ids by TensorFlow's own operations: the reference of the native kernel.

Slots are the rows of all managed tables of a stack, buckets their groups of `BUCKET_ROWS`; -1
stands for no slot. Rows of a bucket are filled from its first on and never become free again.
"""

import tensorflow as tf

from tfrec_models.embeddings.id_hash import bits_from, in_unsigned_order
from tfrec_models.embeddings.id_map_layout import BUCKET_ROWS, MAX_PROBES
from tfrec_models.embeddings.id_places import Places
from tfrec_models.embeddings.managed_ids import EVICTIONS

HITS, UNKNOWN, ADMITTED, EVICTED, OCCUPIED, COUNTED = range(6)
_LFU, _TTL, _NEVER = (EVICTIONS.index(name) for name in ("lfu", "ttl", "never"))
_LARGEST = tf.int64.max
_LAST_USE = 2**30
# What fits into a sort key beside a step of 31 bits and a place in the bucket.
_MOST_USES = 2**27 - 1


def find(state, layout, ids, tables):
    """Returns the row of each id within its table, or -1 where it has none.

    Args:
        state: `IdMapState`.
        layout: `IdMapLayout`.
        ids: int64 tensor (n,).
        tables: int32 tensor (n,), the number of each one's table.
    """
    return _rows_of(layout, _find(state, Places(layout, ids, tables)), tables)


def admit(state, layout, ids, tables):
    """Finds the rows of a batch in training: counts uses, admits ids, evicts others.

    Args:
        state, layout, ids, tables: as for `find`.

    Returns:
        The row of each id within its table, -1 where it has none, and the slots that were another
        id's before this, each once.
    """
    state.step.add([0], tf.constant([1], tf.int64))
    stamp = tf.cast(state.step.get(0), tf.int32)
    places = Places(layout, ids, tables)
    slots = _find(state, places)
    is_known = slots >= 0
    known = tf.boolean_mask(slots, is_known)
    state.used.put(known, tf.fill(tf.shape(known), stamp))
    if layout.counts_uses:
        # They stop far from where they would overflow.
        state.uses.add(known, tf.cast(state.uses.get(known) < _LAST_USE, tf.int32))
    missed = tf.where(~is_known)[:, 0]
    new, place_of = _distinct(layout, places.take(missed))
    admitted = _seen_often(state, layout, new)
    candidates = new.take(admitted)
    given = _fill_free(state, layout, candidates, stamp)
    left = tf.where(given < 0)[:, 0]
    taken = _evict(state, layout, candidates.take(left), stamp)
    given = tf.tensor_scatter_nd_update(given, left[:, tf.newaxis], taken)
    by_new = tf.tensor_scatter_nd_update(
        tf.fill([tf.size(new.ids)], tf.constant(-1, tf.int64)), admitted[:, tf.newaxis], given
    )
    slots = tf.tensor_scatter_nd_update(slots, missed[:, tf.newaxis], tf.gather(by_new, place_of))
    evicted = tf.boolean_mask(taken, taken >= 0)
    has_slot = given >= 0
    for tally, of_tables in (
        (HITS, tf.boolean_mask(tables, slots >= 0)),
        (UNKNOWN, tf.boolean_mask(tables, slots < 0)),
        (ADMITTED, tf.boolean_mask(candidates.tables, has_slot)),
        (EVICTED, tf.boolean_mask(tf.gather(candidates.tables, left), taken >= 0)),
    ):
        numbers = tf.math.bincount(of_tables, minlength=len(layout.names), dtype=tf.int64)
        state.tallies.add(tf.range(len(layout.names)) * 6 + tally, numbers)
    return _rows_of(layout, slots, tables), evicted


def _rows_of(layout, slots, tables):
    starts = layout.of(layout.first_bucket * BUCKET_ROWS, tables)
    return tf.where(slots < 0, slots, slots - starts)


def insert(state, layout, ids, tables, used, uses):
    """Gives free rows to ids that have none, those first that come first.

    Args:
        state, layout: as for `find`.
        ids, tables: of distinct ids.
        used: int32 tensor (n,), the step each was used in last.
        uses: int32 tensor (n,), how often.

    Returns:
        The row of each id within its table, -1 where its buckets are full.
    """
    slots = _fill_free(state, layout, Places(layout, ids, tables, uses), tf.constant(0))
    placed = tf.where(slots >= 0)[:, 0]
    state.used.put(tf.gather(slots, placed), tf.gather(used, placed))
    return _rows_of(layout, slots, tables)


def _find(state, places):
    reach = tf.cast(state.reach.get(places.home), tf.int64)
    slots = _find_in(state, places.ids, places.home)

    def further(probe, slots):
        left = tf.where((slots < 0) & (reach > probe))[:, 0]
        part = places.take(left)
        found = _find_in(state, part.ids, part.bucket(probe))
        return probe + 1, tf.tensor_scatter_nd_update(slots, left[:, tf.newaxis], found)

    _, slots = tf.while_loop(
        lambda probe, slots: tf.reduce_any((slots < 0) & (reach > probe)),
        further,
        [tf.constant(1, tf.int64), slots],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])],
    )
    return slots


def _find_in(state, ids, buckets):
    """The slot of each id in a bucket, or -1."""
    filled = state.filled.get(buckets)[:, tf.newaxis]
    is_it = (state.ids.of_buckets(buckets) == ids[:, tf.newaxis]) & (tf.range(BUCKET_ROWS) < filled)
    way = tf.argmax(is_it, axis=1)
    return tf.where(tf.reduce_any(is_it, axis=1), buckets * BUCKET_ROWS + way, -1)


def _distinct(layout, missed):
    """Each id once, in the order of tables and of hashes, and the place of each occurrence."""
    by_hash = tf.argsort(in_unsigned_order(missed.hashes))
    by_table = _stable_order(tf.gather(missed.tables, by_hash))
    order = tf.gather(by_hash, by_table)
    missed = missed.take(order)
    is_new = tf.concat(
        [
            tf.ones([tf.minimum(tf.size(order), 1)], tf.bool),
            (missed.hashes[1:] != missed.hashes[:-1]) | (missed.tables[1:] != missed.tables[:-1]),
        ],
        axis=0,
    )
    number = tf.cumsum(tf.cast(is_new, tf.int32)) - 1
    firsts = tf.where(is_new)[:, 0]
    times = tf.math.unsorted_segment_sum(tf.ones_like(number), number, tf.size(firsts))
    first = missed.take(firsts)
    distinct = Places(layout, first.ids, first.tables, times, first.hashes)
    place_of = tf.scatter_nd(order[:, tf.newaxis], number, [tf.size(order)])
    return distinct, place_of


def _stable_order(keys):
    """`tf.argsort(keys)` with equal ones in the order they have."""
    positions = tf.range(tf.size(keys, tf.int64))
    keys = tf.bitwise.left_shift(tf.cast(keys, tf.int64), 31) + positions
    return tf.cast(tf.bitwise.bitwise_and(tf.sort(keys), 2**31 - 1), tf.int32)


def _rank_among_equals(keys):
    """How many elements before each are equal to it."""
    order = _stable_order(keys)
    ordered = tf.gather(keys, order)
    positions = tf.range(tf.size(order))
    is_first = tf.concat(
        [tf.ones([tf.minimum(tf.size(order), 1)], tf.bool), ordered[1:] != ordered[:-1]], 0
    )
    starts = tf.boolean_mask(positions, is_first)
    group = tf.cumsum(tf.cast(is_first, tf.int32)) - 1
    return tf.scatter_nd(
        order[:, tf.newaxis], positions - tf.gather(starts, group), [tf.size(order)]
    )


def _seen_often(state, layout, new):
    """The positions of ids that are admitted now, after they are counted."""
    if not layout.total_cells:
        return tf.range(tf.size(new.ids, tf.int64))
    counted = state.tallies.get(tf.range(len(layout.names)) * 6 + COUNTED)
    is_full = (counted >= layout.halve_after) & (layout.cells > 0)

    def halve():
        tables = tf.repeat(tf.range(len(layout.names)), 2 * layout.cells)
        old = tf.where(tf.gather(is_full, tables))[:, 0]
        state.cells.put(old, state.cells.get(old) // 2)
        full = tf.where(is_full)[:, 0] * 6 + COUNTED
        state.tallies.put(full, tf.zeros_like(full))
        return tf.constant(True)

    tf.cond(tf.reduce_any(is_full), halve, lambda: tf.constant(False))
    cells = layout.of(layout.cells, new.tables)
    is_counted = tf.broadcast_to(cells > 0, tf.shape(new.ids))
    positions = tf.where(is_counted)[:, 0]
    counted = new.take(positions)
    first_cell = layout.of(layout.first_cell, counted.tables)
    cells = layout.of(layout.cells, counted.tables)
    places = [
        first_cell + tf.bitwise.bitwise_and(counted.hashes, cells - 1),
        first_cell + cells + tf.bitwise.bitwise_and(bits_from(counted.hashes, 24), cells - 1),
    ]
    for half in places:
        state.cells.add(half, counted.times)
    seen = tf.minimum(*(state.cells.get(half) for half in places))
    total = tf.math.unsorted_segment_sum(
        tf.cast(counted.times, tf.int64), counted.tables, len(layout.names)
    )
    state.tallies.add(tf.range(len(layout.names)) * 6 + COUNTED, total)
    often = tf.cast(seen, tf.int64) >= layout.of(layout.admit_after, counted.tables)
    is_admitted = tf.tensor_scatter_nd_update(~is_counted, positions[:, tf.newaxis], often)
    return tf.where(is_admitted)[:, 0]


def _fill_free(state, layout, candidates, stamp):
    """Gives candidates the free rows of their buckets; returns their slots, -1 for the others."""
    occupied = state.tallies.get(tf.range(len(layout.names)) * 6 + OCCUPIED)
    has_room = tf.gather(occupied < layout.num_rows, candidates.tables)
    probes = tf.minimum(tf.broadcast_to(candidates.num_buckets, tf.shape(has_room)), MAX_PROBES)
    num_rows = layout.of(layout.num_rows, candidates.tables)
    slots = tf.fill(tf.shape(has_room), tf.constant(-1, tf.int64))

    def ask(probe, slots):
        left = tf.where(has_room & (slots < 0) & (probe < probes))[:, 0]
        part = candidates.take(left)
        buckets = part.bucket(probe)
        filled = tf.cast(state.filled.get(buckets), tf.int64)
        first_row = (buckets - part.first_bucket) * BUCKET_ROWS
        rows = num_rows if num_rows.shape.rank == 0 else tf.gather(num_rows, left)
        way = filled + tf.cast(_rank_among_equals(buckets), tf.int64)
        fits = (way < BUCKET_ROWS) & (first_row + way < rows)
        found = tf.where(fits, buckets * BUCKET_ROWS + way, -1)
        fitting = part.take(tf.where(fits)[:, 0])
        given = tf.boolean_mask(found, fits)
        state.occupy(given, fitting.ids, stamp, fitting.times)
        state.filled.add(tf.boolean_mask(buckets, fits), tf.ones_like(given, tf.int32))
        # Lookups of ids that begin at this bucket have to look so far from now on.
        state.reach.raise_to(fitting.home, tf.fill(tf.shape(given), tf.cast(probe + 1, tf.int32)))
        number = tf.math.unsorted_segment_sum(
            tf.ones_like(given), fitting.tables, len(layout.names)
        )
        state.tallies.add(tf.range(len(layout.names)) * 6 + OCCUPIED, number)
        return probe + 1, tf.tensor_scatter_nd_update(slots, left[:, tf.newaxis], found)

    _, slots = tf.while_loop(
        lambda probe, slots: tf.reduce_any(has_room & (slots < 0) & (probe < probes)),
        ask,
        [tf.constant(0, tf.int64), slots],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])],
        parallel_iterations=1,
    )
    return slots


def _evict(state, layout, candidates, stamp):
    """Gives candidates rows of other ids; returns their slots, -1 for those that get none."""
    homes = candidates.home
    used = state.used.of_buckets(homes)
    eviction = layout.of(layout.eviction, candidates.tables)[..., tf.newaxis]
    ttl = layout.of(layout.ttl, candidates.tables)[..., tf.newaxis]
    idle = tf.cast(stamp - used, tf.int64)
    filled = tf.range(BUCKET_ROWS) < state.filled.get(homes)[:, tf.newaxis]
    may_go = filled & (idle > 0) & (eviction != _NEVER) & ((eviction != _TTL) | (idle > ttl))
    way = tf.range(BUCKET_ROWS, dtype=tf.int64)
    key = tf.bitwise.left_shift(tf.cast(used, tf.int64), 4) + way
    if layout.counts_uses:
        uses = tf.cast(tf.minimum(state.uses.of_buckets(homes), _MOST_USES), tf.int64)
        key += tf.where(eviction == _LFU, tf.bitwise.left_shift(uses, 35), 0)
    ordered = tf.sort(tf.where(may_go, key, _LARGEST), axis=1)
    rank = _rank_among_equals(homes)
    chosen = tf.gather(ordered, tf.minimum(rank, BUCKET_ROWS - 1), batch_dims=1)
    gets_one = (rank < BUCKET_ROWS) & (chosen != _LARGEST)
    slot = homes * BUCKET_ROWS + tf.bitwise.bitwise_and(chosen, BUCKET_ROWS - 1)
    given = tf.boolean_mask(slot, gets_one)
    winners = candidates.take(tf.where(gets_one)[:, 0])
    times = winners.times
    if layout.counts_uses:
        times += state.uses.get(given)
    state.occupy(given, winners.ids, stamp, times)
    return tf.where(gets_one, slot, -1)
