"""What every peer is given: sizes, settings, and the same batches."""

import dataclasses

import numpy as np

# The lengths of MLPerf's multi-hot Criteo bags.
MLPERF = (3, 2, 1, 2, 6, 1, 1, 1, 1, 7, 3, 8, 1, 6, 9, 5, 1, 1, 1, 12, 100, 27, 10, 3, 1, 1)
BAGS = ("1", "3", "10", "mlperf")
MODELS = ("dlrm", "dlrm_dcn", "deepfm")
PRECISIONS = ("float32", "bfloat16")

DIM, DENSE = 64, 13
DENSE_ARCH, OVER_ARCH = [512, 256, DIM], [512, 512, 256, 1]
DCN_LAYERS, DCN_RANK = 3, 512
HIDDEN, DEEP_FM = 512, 256

TABLE_RATE, DENSE_RATE, EPSILON = 0.02, 0.01, 1e-8
NUM_BATCHES = 8


@dataclasses.dataclass(frozen=True)
class Batch:
    """Dense features (B, 13), ids as a list of (B, bag) for each feature, labels (B,)."""

    dense: np.ndarray
    ids: list
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Workload:
    """One cell of the grid.

    Args:
        model: one of `MODELS`.
        bag: one of `BAGS`, ids an example in each feature.
        ids: "uniform" or "zipf" (exponent 1.2, cut off at the last row, hot rows scattered).
        rows: rows of each table.
        batch: examples a step.
        features: number of sparse features, each with a table of its own.
        threads: of each peer.
        precision: one of `PRECISIONS`, that of the matrix products; weights are float32.
        operations_at_once: int, of TensorFlow's peers; as many as threads unless it is given.
    """

    model: str = "dlrm"
    bag: str = "1"
    ids: str = "uniform"
    rows: int = 100_000
    batch: int = 2048
    features: int = 26
    threads: int = 2
    precision: str = "float32"
    operations_at_once: int | None = None

    @property
    def bags(self):
        """The ids of each feature."""
        if self.bag == "mlperf":
            return list(MLPERF[: self.features])
        return [int(self.bag)] * self.features

    @property
    def names(self):
        return [f"f{i}" for i in range(self.features)]

    def batches(self):
        """The batches, the same in every process."""
        rng = np.random.default_rng(7)
        draw = self._zipf(rng) if self.ids == "zipf" else self._uniform(rng)
        return [
            Batch(
                rng.standard_normal((self.batch, DENSE), dtype=np.float32),
                [draw((self.batch, bag)) for bag in self.bags],
                rng.integers(0, 2, self.batch).astype(np.float32),
            )
            for _ in range(NUM_BATCHES)
        ]

    def _uniform(self, rng):
        return lambda shape: rng.integers(0, self.rows, shape)

    def _zipf(self, rng):
        sums = np.cumsum(np.arange(1, self.rows + 1, dtype=np.float64) ** -1.2)
        row_of_rank = rng.permutation(self.rows)
        return lambda shape: row_of_rank[np.searchsorted(sums, rng.random(shape) * sums[-1])]

    def forward_flops(self):
        """Those of the matrix products of one forward pass."""
        width = (self.features + 1) * DIM
        if self.model == "dlrm":
            pairs = (self.features + 1) * self.features // 2
            macs = _mlp([DENSE, *DENSE_ARCH]) + _mlp([DIM + pairs, *OVER_ARCH])
            macs += (self.features + 1) ** 2 * DIM
        elif self.model == "dlrm_dcn":
            macs = _mlp([DENSE, *DENSE_ARCH]) + _mlp([width, *OVER_ARCH])
            macs += DCN_LAYERS * 2 * width * DCN_RANK
        else:
            macs = _mlp([DENSE, HIDDEN, DIM]) + width * DEEP_FM + DIM + DEEP_FM + 1
        return 2 * macs * self.batch

    def training_flops(self):
        """Forward, and twice as many backward (the first layer's input gradient counted in)."""
        return 3 * self.forward_flops()

    def __str__(self):
        return (
            f"{self.model}, bag {self.bag} {self.ids}, {self.features} x {self.rows:,} rows, "
            f"batch {self.batch}" + (f", {self.precision}" if self.precision != "float32" else "")
        )


def _mlp(sizes):
    return sum(a * b for a, b in zip(sizes, sizes[1:], strict=False))
