"""What an id outside its table means, the same on every path.

TensorFlow by itself raises on CPU, returns zeros on GPU, clamps under XLA and wraps negative ids,
so ids are settled here, before any lookup sees them.
"""

import tensorflow as tf

ID_POLICIES = ("error", "clip", "hash", "oov", "drop")

DROPPED = -1
"""The row of an id that is to be left out of its bag."""


def apply_id_policies(ids, rows, columns, tables, locate):
    """Returns ids that lie in their tables, or are `DROPPED`.

    Args:
        ids: int tensor of any shape.
        rows: function from a list with a number for each column to a tensor, of the dtype of
            `ids`, that broadcasts to `ids`: each id's own number.
        columns: list of str, the feature of each column.
        tables: list of `EmbeddingBagConfig`, the table of each column.
        locate: function from a position in the flattened `ids` to its example and its column,
            used for the message alone.

    Raises:
        tf.errors.InvalidArgumentError: on an id outside a table with the "error" policy.
    """
    limits = rows([table.num_embeddings for table in tables])
    inside = (ids >= 0) & (ids < limits)
    policies = [table.id_policy for table in tables]
    settled = ids
    for policy in sorted(set(policies)):
        if policy == "error":
            continue
        moved = _MOVES[policy](ids, limits, inside)
        if len(set(policies)) > 1:
            mine = tf.cast(rows([int(other == policy) for other in policies]), tf.bool)
            moved = tf.where(mine, moved, settled)
        settled = moved
    if "error" not in policies:
        return settled
    fine = inside
    if len(set(policies)) > 1:
        fine |= tf.cast(rows([int(policy != "error") for policy in policies]), tf.bool)
    return _refuse_unless(fine, ids, settled, columns, tables, locate)


_MOVES = {
    "clip": lambda ids, limits, inside: tf.clip_by_value(ids, tf.zeros_like(limits), limits - 1),
    "hash": lambda ids, limits, inside: tf.math.floormod(ids, limits),
    "oov": lambda ids, limits, inside: tf.where(inside, ids, limits),
    "drop": lambda ids, limits, inside: tf.where(inside, ids, tf.cast(DROPPED, ids.dtype)),
}


def _refuse_unless(fine, ids, settled, columns, tables, locate):
    """Passes `settled` on where every id is fine.

    XLA, which drops assertions in silence, cannot compile the branch's string operations: a lookup
    with the "error" policy inside jit_compile=True fails loudly instead of clamping.
    """

    def refuse():
        position = tf.argmax(tf.reshape(~fine, [-1]), output_type=tf.int64)
        return refuse_id(position, ids, settled, columns, tables, locate)

    return tf.cond(tf.reduce_all(fine), lambda: settled, refuse)


def refuse_id(position, ids, settled, columns, tables, locate):
    """Raises for the id at one position; for the branch that fails, where the message is made.

    Args:
        position: int64 tensor, in the flattened `ids`.
        settled: what the other branch returns.
        ids, columns, tables, locate: as in `apply_id_policies`.
    """
    example, column = locate(position)
    message = tf.strings.format(
        "Feature {}: id {} in example {} is outside table {}, whose ids run from 0 to {}. "
        "Correct the data, or give the table an id_policy ('clip', 'hash', 'oov' or 'drop').",
        [
            tf.gather(tf.constant(columns), column),
            tf.reshape(ids, [-1])[position],
            example,
            tf.gather(tf.constant([table.name for table in tables]), column),
            tf.gather(
                tf.constant([table.num_embeddings - 1 for table in tables], tf.int64), column
            ),
        ],
    )
    with tf.control_dependencies([tf.debugging.Assert(False, [message], summarize=1)]):
        return tf.identity(settled)
