"""A lazily materialised sparse gradient."""

import tensorflow as tf

from tfrec_models._compat.tensorflow import LazyIndexedSlices
from tfrec_models._rows.unique_rows import UniqueRows
from tfrec_models.native.library import kernels


class BagGradient(LazyIndexedSlices, UniqueRows):
    """The gradient of a pooled lookup: which bags each touched row is in, and their gradient.

    To everybody else it is a sparse gradient with distinct, rising rows. A fused update reads the
    bags' gradient itself and never asks for `values`, a row for each row touched; in a graph they
    are then not computed.

    Args:
        rows: int tensor (n,), rising.
        starts: int32 (n + 1,), where each row's occurrences begin in `places`.
        places: int32, the row of `upstream` that each occurrence adds.
        scales: list of none or one float32 tensor, what it is multiplied by.
        upstream: tensor (bags, dim).
        dense_shape: int tensor (2,), that of the table.
    """

    def __init__(self, rows, starts, places, scales, upstream, dense_shape):
        self.starts = starts
        self.places = places
        self.scales = scales
        self.upstream = upstream
        super().__init__(rows, dense_shape)
        if not tf.executing_eagerly():
            # Right away: later may be in another graph, and what is not used is pruned.
            _ = self.values

    @property
    def dtype(self):
        return self.upstream.dtype

    def compute_values(self):
        return kernels().tfrec_sum_rows(
            starts=[self.starts], places=[self.places], scales=self.scales, upstream=self.upstream
        )


def transpose_bags(rows, splits, weights, num_features=1, mean=False):
    """Returns rows, starts, places and scales: the parts of a `BagGradient`.

    Args:
        rows: int tensor of any shape, negative ones left out.
        splits: list of none or one int64 tensor; none where every row is a bag of its own.
        weights: list of none or one float32 tensor.
        num_features, mean: as in the lookup.
    """
    return kernels().tfrec_transpose_bags(
        rows=rows,
        row_splits=splits,
        weights=weights,
        num_scales=int(bool(weights) or mean),
        num_features=num_features,
        mean=mean,
    )
