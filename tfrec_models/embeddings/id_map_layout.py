"""Where in the variables of an id map each managed table has its part."""

import math

import numpy as np
import tensorflow as tf

from tfrec_models.embeddings.managed_ids import EVICTIONS

# Rows of a group, whose ids lie in two cache lines.
BUCKET_ROWS = 16
# Groups that an id may have its row in.
MAX_PROBES = 64
_LEAST_CELLS = 512


class IdMapLayout:
    """The managed tables of a stack: their groups of rows ("buckets"), and cells of sketches.

    Rows of the last bucket that a table does not have are never filled.

    Args:
        tables: list of `EmbeddingBagConfig` with `ManagedIds`.
    """

    def __init__(self, tables):
        policies = [table.id_policy for table in tables]
        self.names = [table.name for table in tables]
        self.num_rows = np.array([table.num_embeddings for table in tables])
        self.num_buckets = -(-self.num_rows // BUCKET_ROWS)
        # Steps through a prime number of buckets meet each before one comes again.
        self.modulus = np.array([_modulus(buckets) for buckets in self.num_buckets.tolist()])
        self.first_bucket, self.total_buckets = _starts(self.num_buckets)
        self.admit_after = np.array([policy.admit_after for policy in policies])
        self.eviction = np.array([EVICTIONS.index(policy.evict) for policy in policies])
        self.ttl = np.array([policy.ttl or 0 for policy in policies])
        # One of the two halves of each sketch; powers of two, whose places are bits of the hash.
        halves = np.array([_power_of_two(max(rows // 2, _LEAST_CELLS)) for rows in self.num_rows])
        self.cells = np.where(self.admit_after > 1, halves, 0)
        self.first_cell, self.total_cells = _starts(2 * self.cells)
        self.halve_after = np.maximum(self.cells * self.admit_after // 4, 1)

    @property
    def slots(self):
        """The number of rows of all buckets."""
        return self.total_buckets * BUCKET_ROWS

    @property
    def counts_uses(self):
        """Whether a table evicts by the number of uses."""
        return bool((self.eviction == EVICTIONS.index("lfu")).any())

    def slots_of(self, name):
        """The first row of a table among those of all buckets, and how many it has."""
        number = self.names.index(name)
        return int(self.first_bucket[number]) * BUCKET_ROWS, int(self.num_rows[number])

    def of(self, numbers, tables):
        """Returns a number of the layout for each element: that of its table, int64.

        Args:
            numbers: array with one for each table, such as `num_buckets`.
            tables: int tensor, numbers of tables.
        """
        if len(set(numbers.tolist())) == 1:
            return tf.constant(int(numbers[0]), tf.int64)
        return tf.gather(tf.constant(numbers, tf.int64), tables)


def _starts(sizes):
    ends = np.cumsum(sizes)
    return ends - sizes, int(ends[-1])


def _modulus(buckets):
    if buckets <= MAX_PROBES:
        return buckets
    while any(buckets % divisor == 0 for divisor in range(2, math.isqrt(buckets) + 1)):
        buckets += 1
    return buckets


def _power_of_two(most):
    return 1 << (int(most).bit_length() - 1)
