"""Turns ids into rows of a table stack."""

import dataclasses

import tensorflow as tf

from tfrec_models import execution
from tfrec_models.embeddings.id_policy import DROPPED, POLICIES
from tfrec_models.embeddings.manage_ids import with_found_rows


def resolve_rows(stack, bags):
    """Returns the row of the stack for each id, or `DROPPED`, in the stack's index dtype.

    Args:
        stack: `TableStack`.
        bags: `BagBatch` of the stack's columns.

    Raises:
        tf.errors.InvalidArgumentError: on an id outside a table with the "error" policy.
    """
    static = execution.current().id_maps.get(stack.id_map)
    if static is not None:
        return _resolve_exported(static, stack, bags)
    bags = with_found_rows(stack, bags)
    spread = bags.spreader()
    return _resolve_numbers(stack, bags, spread)


def _resolve_exported(static, stack, bags):
    """As `resolve_rows`, of a map that finds the rows of all managed tables of a stack at once."""
    bags = dataclasses.replace(bags, ids=tf.cast(bags.ids, tf.int64))
    spread = bags.spreader()
    rows = static(stack, bags, spread)
    is_managed = [int(table.is_managed) for table in stack.column_tables]
    if min(is_managed):
        return rows
    numbers = _resolve_numbers(stack, bags, spread)
    return tf.where(spread(is_managed, tf.int32) == 1, rows, numbers)


def _resolve_numbers(stack, bags, spread):
    rows = resolve_in_tables(stack, bags, spread)
    shifted = rows + spread(stack.column_first_rows, stack.index_dtype)
    return tf.where(rows == DROPPED, rows, shifted) if stack.drops_ids else shifted


def resolve_in_tables(stack, bags, spread):
    """As `resolve_rows`, with rows counted within each id's own table.

    Args:
        stack, bags: as there.
        spread: `bags.spreader()`.
    """
    tables, ids = stack.column_tables, bags.ids
    if max(table.num_embeddings for table in tables) >= 2**31:
        ids = tf.cast(ids, tf.int64)
    limits = spread([table.num_embeddings for table in tables], ids.dtype)
    inside = (ids >= 0) & (ids < limits)
    policies = [table.row_policy for table in tables]
    rows = ids
    for name in sorted(set(policies)):
        resolved = POLICIES[name].resolve(ids, limits, inside)
        if len(set(policies)) > 1:
            has_policy = spread([int(other == name) for other in policies], tf.int32) == 1
            resolved = tf.where(has_policy, resolved, rows)
        rows = resolved
    rows = tf.cast(rows, stack.index_dtype)
    if "error" not in policies:
        return rows
    valid = inside
    if len(set(policies)) > 1:
        valid |= spread([int(name != "error") for name in policies], tf.int32) == 1

    def refuse():
        position = tf.argmax(tf.reshape(~valid, [-1]), output_type=tf.int64)
        return refuse_id(stack, bags, position, rows)

    # XLA, which drops assertions in silence, cannot compile the branch's string operations: a
    # lookup with the "error" policy inside jit_compile=True fails instead of clamping.
    return tf.cond(tf.reduce_all(valid), lambda: rows, refuse)


def refuse_id(stack, bags, position, rows):
    """Raises for the id at one position; for the branch that fails, where the message is made.

    Args:
        stack: `TableStack`.
        bags: `BagBatch` of the stack's columns.
        position: int64 tensor, in the flattened ids.
        rows: what the other branch returns.
    """
    tables = stack.column_tables
    example, column = bags.locate(position)
    message = tf.strings.format(
        "Feature {}: id {} in example {} is outside table {}, whose ids run from 0 to {}. "
        "Correct the data, or give the table an id_policy ('clip', 'hash', 'oov' or 'drop').",
        [
            tf.gather(tf.constant(stack.feature_names), column),
            tf.reshape(bags.ids, [-1])[position],
            example,
            tf.gather(tf.constant([table.name for table in tables]), column),
            tf.gather(
                tf.constant([table.num_embeddings - 1 for table in tables], tf.int64), column
            ),
        ],
    )
    with tf.control_dependencies([tf.debugging.Assert(False, [message], summarize=1)]):
        return tf.identity(rows)
