"""The exact area under the ROC curve, computed from ranks."""

from typing import Any

import numpy as np

from tfrec_models.metrics._checked_rows import checked_rows


def auc(labels: Any, scores: Any, sample_weight: Any = None) -> float:
    """Exact area under the ROC curve of `scores` (no thresholds).

    `keras.metrics.AUC` sums over 200 thresholds by default and so returns an approximation; this
    function ranks all rows at once. Use it to compare final results; `ExactAUC` is for `compile`.

    The area is the chance that a positive row scores above a negative one, ties counting half and
    each row being drawn by its weight w:

        AUC = sum_{i != j} w_i w_j y_i (1 - y_j) ([s_i > s_j] + [s_i = s_j] / 2)
              / sum_{i != j} w_i w_j y_i (1 - y_j)

    Labels may be probabilities. Numerator and denominator are then the exact expectations over
    labels drawn independently from them, and `auc(p, p)` is the best AUC any scores can reach when
    `p` are the true probabilities.

    Paper: Hanley and McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143, 1982.

    Args:
        labels: array-like of n numbers in [0, 1]: zeros and ones, or probabilities.
        scores: array-like of n numbers; only their order matters.
        sample_weight: array-like of n weights of at least 0; 1 each if None.

    Returns:
        float in [0, 1].

    Raises:
        ValueError: if the lengths differ, a label lies outside [0, 1], a score is NaN, a weight is
            negative or not finite, or no positive or no negative row has weight.

    Example:
        >>> from tfrec_models.metrics import auc
        >>> auc([0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8])
        1.0
        >>> auc([0, 1, 0, 1], [0.1, 0.3, 0.35, 0.8])
        0.75
        >>> auc([0, 1, 0, 1], [0.1, 0.3, 0.35, 0.8], sample_weight=[1, 0, 1, 1])
        1.0
    """
    y, s, w = checked_rows(labels, scores, sample_weight)
    if not np.all((y >= 0) & (y <= 1)):
        bad = y[~((y >= 0) & (y <= 1))][0]
        raise ValueError(
            f"labels must lie in [0, 1], received {bad}. Give zeros and ones, or probabilities."
        )
    # A row is never compared with itself; for labels of 0 and 1 the term is zero anyway.
    itself = float(np.sum(w * w * y * (1 - y)))
    pairs = float(np.sum(w * y)) * float(np.sum(w * (1 - y))) - itself
    if pairs <= 0:
        weighted = "" if sample_weight is None else f" with weights summing to {w.sum():g}"
        raise ValueError(
            f"AUC needs at least one positive and one negative row, received {y.size} labels "
            f"summing to {y.sum():g}{weighted}."
        )
    _, group = np.unique(s, return_inverse=True)
    positive = np.bincount(group, weights=w * y)
    negative = np.bincount(group, weights=w * (1 - y))
    below = np.cumsum(negative) - negative
    ordered = float(np.sum(positive * (below + negative / 2))) - itself / 2
    return ordered / pairs
