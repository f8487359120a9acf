"""Managed ids become numbers of rows, before a lookup."""

import dataclasses

import tensorflow as tf

from tfrec_models.embeddings import id_map_stock
from tfrec_models.native import id_map as id_map_native
from tfrec_models.native.lookup import reaches

_NO_COPIES = (
    "Managed ids need a copy of the map from ids to rows on each replica, received {} with several "
    "replicas, which share one. Train on one device, or under MirroredStrategy or "
    "MultiWorkerMirroredStrategy; or give the tables id_policy='hash'."
)


def with_admitted_rows(variable, stack, bags):
    """Returns the bags of a training step with rows in place of managed ids, which are admitted.

    Args:
        variable: `tf.Variable` of the stack.
        stack: `TableStack`.
        bags: `BagBatch` of the stack's columns.
    """
    numbers = _managed_numbers(stack)
    # A layer that Keras only builds has symbolic tensors in place of variables.
    is_built = hasattr(variable, "handle")
    if numbers is None or not is_built or tf.distribute.get_replica_context() is None:
        return bags
    bags = dataclasses.replace(bags, ids=tf.cast(bags.ids, tf.int64))
    rows, evicted = _admit(stack.id_map, bags, numbers)
    stack.id_map.restart_rows(variable, evicted)
    return dataclasses.replace(bags, ids=rows, has_rows=True)


def with_found_rows(stack, bags):
    """Returns bags with the row within its table in place of each managed id, or -1.

    Args:
        stack, bags: as for `with_admitted_rows`.
    """
    numbers = _managed_numbers(stack)
    if numbers is None or bags.has_rows:
        return bags
    bags = dataclasses.replace(bags, ids=tf.cast(bags.ids, tf.int64))
    rows = _of_managed(stack.id_map.find_rows, bags, numbers)
    return dataclasses.replace(bags, ids=rows, has_rows=True)


def _managed_numbers(stack):
    """The number of each column's table among the managed ones, -1 for others; None without any."""
    if stack.id_map is None:
        return None
    names = stack.id_map.layout.names
    numbers = [names.index(t.name) if t.is_managed else -1 for t in stack.column_tables]
    return numbers if max(numbers) >= 0 else None


def _admit(id_map, bags, numbers):
    """Returns the rows of all ids, and the slots that belonged to others before."""
    state, layout = id_map.state, id_map.layout
    is_native = reaches(state.ids.variable)
    if tf.distribute.get_replica_context().num_replicas_in_sync == 1 and is_native:
        return id_map_native.admit_bags(state, layout, bags, numbers)
    admit = id_map_native.admit if is_native else id_map_stock.admit
    evicted = []

    def find(ids, tables):
        rows, slots = _of_all_replicas(admit, state, layout, ids, tables)
        evicted.append(slots)
        return rows

    return _of_managed(find, bags, numbers), evicted[0]


def _of_managed(find, bags, numbers):
    """The rows of ids in managed columns, beside the ids of the others.

    Args:
        find: function of ids (n,) and the numbers of their tables (n,), to rows (n,).
        bags: `BagBatch`.
        numbers: list of int, the number of each column's table, or -1.
    """
    shape, ids = tf.shape(bags.ids), tf.reshape(bags.ids, [-1])
    tables = tf.reshape(tf.broadcast_to(bags.spreader()(numbers, tf.int32), shape), [-1])
    if min(numbers) >= 0:
        return tf.reshape(find(ids, tables), shape)
    managed = tf.where(tables >= 0)
    rows = find(tf.gather_nd(ids, managed), tf.gather_nd(tables, managed))
    return tf.reshape(tf.tensor_scatter_nd_update(ids, managed, rows), shape)


def _of_all_replicas(admit, state, layout, ids, tables):
    """Admits the ids of all replicas on each; returns the rows of this one's."""
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return admit(state, layout, ids, tables)
    if not isinstance(state.ids.variable, tf.distribute.DistributedValues):
        raise ValueError(_NO_COPIES.format(type(replica.strategy).__name__))
    sizes = replica.all_gather(tf.shape(ids), 0)
    begin = tf.reduce_sum(sizes[: replica.replica_id_in_sync_group])
    rows, evicted = admit(state, layout, replica.all_gather(ids, 0), replica.all_gather(tables, 0))
    return rows[begin : begin + tf.size(ids)], evicted
