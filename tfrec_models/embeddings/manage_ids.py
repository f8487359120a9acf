"""Managed ids become numbers of rows, before a lookup."""

import dataclasses

import tensorflow as tf


def with_managed_rows(variable, stack, bags, training):
    """Returns the bags with the row within its table in place of each managed id, or -1.

    In training, ids are counted and given rows here.

    Args:
        variable: `tf.Variable` of the stack.
        stack: `TableStack`.
        bags: `BagBatch` of the stack's columns.
        training: bool or None, as in a call of a Keras layer.
    """
    id_map = stack.id_map
    if id_map is None:
        return bags
    names = id_map.layout.names
    numbers = [names.index(t.name) if t.is_managed else -1 for t in stack.column_tables]
    if max(numbers) < 0:
        return bags
    shape = tf.shape(bags.ids)
    ids = tf.reshape(tf.cast(bags.ids, tf.int64), [-1])
    tables = tf.reshape(tf.broadcast_to(bags.spreader()(numbers, tf.int32), shape), [-1])
    is_admitting = training and tf.distribute.get_replica_context() is not None
    find = (lambda *these: _admit(variable, id_map, *these)) if is_admitting else id_map.rows_of
    if min(numbers) >= 0:
        rows = find(ids, tables)
    else:
        managed = tf.where(tables >= 0)
        found = find(tf.gather_nd(ids, managed), tf.gather_nd(tables, managed))
        rows = tf.tensor_scatter_nd_update(ids, managed, found)
    return dataclasses.replace(bags, ids=tf.reshape(rows, shape))


def _admit(variable, id_map, ids, tables):
    rows, evicted = id_map.admit(ids, tables)
    id_map.restart_rows(variable, evicted)
    return rows
