"""A click model with known parameters, from which rows and their labels are drawn."""

import numpy as np

# An id is drawn by looking 16 random bits up in a table, so no id is rarer than 2 ** -16.
_QUANTILES = 1 << 16
_MAX_BAG = 4


class PlantedModel:
    """Draws dense features, bags of power-law ids and clicks from a known model.

    The probability of a click is

        p = sigmoid(bias + sum_j a_j x_j + b (x_0 x_1 + x_2^2 - 1)          dense features
                    + sum_f sum_{id in f} w_f[id]                           each id's own effect
                    + sum_{f < g} <u_f[id_f], u_g[id_g]>                    pairs of ids
                    + sum_f x_f v_f[id_f])                                  dense times id

    with `x ~ N(0, 1)`; the pairs run over the first `NUM_PAIRED` sparse features, the products
    with a dense feature over the `NUM_DENSE_PAIRED` after them. Table sizes are spread evenly in
    their logarithms, and id k of a table has a probability proportional to
    (k + 1) ** -EXPONENT. The last `NUM_MULTI_VALUED` features hold bags of 0 to 4 ids, the others
    one id.

    Effects are drawn from normal distributions and shrink by sqrt(P / (P + RARE)) with an id's
    probability P, so that the ids no amount of training could learn carry little of the signal.

    Args:
        seed: int, fixes the parameters.

    Example:
        >>> import numpy as np
        >>> from tfrec_models.datasets import PlantedModel
        >>> rows = PlantedModel(seed=0).draw(np.random.default_rng(0), num_rows=4)
        >>> rows["dense"].shape, rows["lengths"].shape, rows["probability"].shape
        ((4, 13), (4, 26), (4,))
    """

    NUM_DENSE = 13
    NUM_SPARSE = 26
    NUM_MULTI_VALUED = 4
    NUM_PAIRED = 4
    NUM_DENSE_PAIRED = 2
    TABLE_SIZES = (10, 2000)
    EXPONENT = 1.9
    RARE = 5e-3

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        self.table_sizes = np.geomspace(*self.TABLE_SIZES, self.NUM_SPARSE).astype(np.int64)
        # Small and large tables alternate, so that every kind of feature has both.
        self.table_sizes = self.table_sizes.reshape(2, -1).T.reshape(-1)
        self._first_row = np.cumsum(self.table_sizes) - self.table_sizes
        slots = np.ones(self.NUM_SPARSE, np.int64)
        slots[-self.NUM_MULTI_VALUED :] = _MAX_BAG
        self._slot_feature = np.repeat(np.arange(self.NUM_SPARSE), slots)
        self._slot_position = np.concatenate([np.arange(n) for n in slots])

        draws, shrinkage = [], []
        for size, first in zip(self.table_sizes, self._first_row, strict=True):
            probability = np.arange(1, size + 1) ** -self.EXPONENT
            probability /= probability.sum()
            quantile = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
            ids = np.searchsorted(np.cumsum(probability), quantile).clip(max=size - 1)
            draws.append((first + ids).astype(np.int32))
            shrinkage.append(np.sqrt(probability / (probability + self.RARE)))
        self._draws = np.concatenate(draws)
        shrunk = np.concatenate(shrinkage)[:, None]

        rows = len(shrunk)
        self._bias = -2.0
        self._dense_effect = 0.225 * rng.standard_normal(self.NUM_DENSE)
        self._id_effect = (0.4 * shrunk * rng.standard_normal((rows, 1)))[:, 0]
        self._id_factors = 0.48 * shrunk * rng.standard_normal((rows, 2))
        self._dense_id_effect = (0.15 * shrunk * rng.standard_normal((rows, 1)))[:, 0]

    def draw(self, rng, num_rows):
        """Draws rows.

        Args:
            rng: `numpy.random.Generator`.
            num_rows: int.

        Returns:
            dict of arrays: "dense" (n, 13) float32, "ids" (sum of lengths,) int64 row after row,
            "lengths" (n, 26) int64, "probability" (n,) float64, "label" (n,) float32.
        """
        dense = rng.standard_normal((num_rows, self.NUM_DENSE), np.float32)
        lengths = np.ones((num_rows, self.NUM_SPARSE), np.int64)
        lengths[:, -self.NUM_MULTI_VALUED :] = rng.integers(
            0, _MAX_BAG + 1, (num_rows, self.NUM_MULTI_VALUED)
        )
        bits = rng.integers(0, _QUANTILES, (num_rows, len(self._slot_feature)), np.uint16)
        table_row = self._draws[self._slot_feature * _QUANTILES + bits]
        used = self._slot_position < lengths[:, self._slot_feature]

        probability = 1 / (1 + np.exp(-self._logit(dense, table_row, used)))
        return {
            "dense": dense,
            "ids": (table_row - self._first_row[self._slot_feature])[used],
            "lengths": lengths,
            "probability": probability,
            "label": (rng.random(num_rows) < probability).astype(np.float32),
        }

    def _logit(self, dense, table_row, used):
        x = dense.astype(np.float64)
        logit = self._bias + x @ self._dense_effect
        logit += 0.2 * (x[:, 0] * x[:, 1] + np.square(x[:, 2]) - 1)
        logit += np.sum(self._id_effect[table_row] * used, axis=1)
        paired = self._id_factors[table_row[:, : self.NUM_PAIRED]]
        total = np.square(paired.sum(axis=1)) - np.square(paired).sum(axis=1)
        logit += total.sum(axis=1) / 2
        for i in range(self.NUM_DENSE_PAIRED):
            feature = table_row[:, self.NUM_PAIRED + i]
            logit += x[:, 3 + i] * self._dense_id_effect[feature]
        return logit
