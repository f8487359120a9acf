"""Labels, scores and weights of rows as NumPy arrays, checked."""

import numpy as np


def checked_rows(labels, scores, sample_weight):
    """Returns labels and weights as float64 and scores, each of shape `(rows,)`.

    Raises:
        ValueError: if the lengths differ, a score is NaN, or a weight is negative or not finite.
    """
    y = np.asarray(labels, np.float64).reshape(-1)
    s = np.asarray(scores).reshape(-1)
    if y.shape != s.shape:
        raise ValueError(
            f"labels and scores must have one number per row each, received {y.size} labels "
            f"and {s.size} scores."
        )
    if np.isnan(s).any():
        raise ValueError(
            f"scores must be numbers, received NaN in row {int(np.isnan(s).argmax())}."
        )
    if sample_weight is None:
        return y, s, np.ones(y.size)
    w = np.asarray(sample_weight, np.float64).reshape(-1)
    if w.shape != y.shape:
        raise ValueError(
            f"sample_weight must have one weight per row, received {w.size} weights for {y.size} "
            "labels."
        )
    sound = (w >= 0) & (w < np.inf)
    if not sound.all():
        raise ValueError(
            "sample_weight must be finite and at least 0, received "
            f"{w[~sound][0]} in row {int((~sound).argmax())}."
        )
    return y, s, w
