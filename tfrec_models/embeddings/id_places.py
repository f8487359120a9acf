"""Ids with the groups of rows that each may have its row in."""

import tensorflow as tf

from tfrec_models.embeddings.id_hash import lower_half, mix, upper_half
from tfrec_models.embeddings.id_map_layout import MAX_PROBES


class Places:
    """Ids with their tables, hashes and buckets.

    Args:
        layout: `IdMapLayout`.
        ids: int64 tensor (n,).
        tables: int32 tensor (n,).
        times: int32 tensor (n,), how often each is in the batch; None where it does not matter.
        hashes: int64 tensor (n,), if known.
    """

    def __init__(self, layout, ids, tables, times=None, hashes=None):
        self._layout = layout
        self.ids, self.tables, self.times = ids, tables, times
        self.hashes = mix(ids) if hashes is None else hashes
        self.num_buckets = layout.of(layout.num_buckets, tables)
        self.first_bucket = layout.of(layout.first_bucket, tables)
        self.start = tf.bitwise.right_shift(upper_half(self.hashes) * self.num_buckets, 32)
        self._modulus = layout.of(layout.modulus, tables)
        strides = 1 + tf.bitwise.right_shift(lower_half(self.hashes) * (self._modulus - 1), 32)
        self._stride = tf.where(self.num_buckets <= MAX_PROBES, tf.ones_like(ids), strides)

    def take(self, positions):
        """Those at some positions."""
        ids, tables, hashes = (
            tf.gather(values, positions) for values in (self.ids, self.tables, self.hashes)
        )
        times = None if self.times is None else tf.gather(self.times, positions)
        return Places(self._layout, ids, tables, times, hashes)

    @property
    def home(self):
        """The first bucket of each."""
        return self.first_bucket + self.start

    def bucket(self, probe):
        """The bucket of each that comes after `probe` others."""
        bucket = (self.start + probe * self._stride) % self._modulus
        # The modulus is at most a little larger.
        return self.first_bucket + bucket % self.num_buckets
