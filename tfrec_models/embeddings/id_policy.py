"""What an id outside its table means, the same on every path.

TensorFlow by itself raises on CPU, returns zeros on GPU, clamps under XLA and wraps negative ids,
so ids are resolved here, before any lookup reads a row.
"""

import abc

import tensorflow as tf

DROPPED = -1
"""The row of an id that is left out of its bag."""


class IdPolicy(abc.ABC):
    """What a table does with ids outside `[0, num_embeddings)`.

    A new policy is a subclass, with its instance in `ID_POLICIES`.
    """

    name: str
    # Rows that the table has behind those of its ids.
    extra_rows = 0

    @abc.abstractmethod
    def resolve(self, ids, limits, inside):
        """Returns a row of the table, or `DROPPED`, for each id.

        Args:
            ids: int tensor.
            limits: int tensor that broadcasts to `ids`, the number of ids of each one's table.
            inside: bool tensor, whether each id is a row.
        """


class ErrorPolicy(IdPolicy):
    """Refuses the batch; `resolve_rows` raises before the rows are read."""

    name = "error"

    def resolve(self, ids, limits, inside):
        return ids


class ClipPolicy(IdPolicy):
    """The nearest row."""

    name = "clip"

    def resolve(self, ids, limits, inside):
        return tf.clip_by_value(ids, tf.zeros_like(limits), limits - 1)


class HashPolicy(IdPolicy):
    """Row `id mod num_embeddings`."""

    name = "hash"

    def resolve(self, ids, limits, inside):
        return tf.math.floormod(ids, limits)


class OovPolicy(IdPolicy):
    """One more row, kept for these ids."""

    name = "oov"
    extra_rows = 1

    def resolve(self, ids, limits, inside):
        return tf.where(inside, ids, limits)


class DropPolicy(IdPolicy):
    """As if the id were not in its bag."""

    name = "drop"

    def resolve(self, ids, limits, inside):
        return tf.where(inside, ids, tf.cast(DROPPED, ids.dtype))


POLICIES = {
    policy.name: policy
    for policy in (ErrorPolicy(), ClipPolicy(), HashPolicy(), OovPolicy(), DropPolicy())
}
ID_POLICIES = tuple(POLICIES)
