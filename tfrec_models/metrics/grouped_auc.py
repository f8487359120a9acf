"""Area under the ROC curve within each group, averaged."""

from typing import Any

import numpy as np

from tfrec_models.metrics._checked_rows import checked_rows


def grouped_auc(labels: Any, scores: Any, groups: Any, sample_weight: Any = None) -> float:
    """Mean over groups, users for example, of the area under the ROC curve within each.

    What a ranking shows a user is ordered among that user's candidates only; the AUC of all rows
    also rewards distinguishing users. With the weights w of the rows of group g, ties counting
    half, and over the groups G that have an order:

        GAUC = 1 / |G| Σ_{g ∈ G} AUC_g

    As in `torchrec.metrics.gauc`, groups count equally, whatever their rows weigh; a group counts
    only if both its classes have weight and its scores are not all equal; and if none does the
    value is 0.5. (TorchRec also leaves out groups whose scores are all 0 or the first one's, and
    orders ties by chance; neither is done here.)

    Paper: Zhu et al., "Optimized Cost per Click in Taobao Display Advertising", KDD 2017.

    Args:
        labels: array-like of n zeros and ones.
        scores: array-like of n numbers; only their order within a group matters.
        groups: array-like of n ids, numbers or strings; rows of a group need not be neighbors.
        sample_weight: array-like of n weights of at least 0; 1 each if None.

    Returns:
        float in [0, 1].

    Raises:
        ValueError: if the lengths differ, a label is neither 0 nor 1, a score is NaN, or a weight
            is negative or not finite, or a group is None.

    Example:
        >>> from tfrec_models.metrics import grouped_auc
        >>> grouped_auc([0, 1, 0, 1], [0.1, 0.2, 0.8, 0.7], ["ann", "ann", "bob", "bob"])
        0.5
    """
    y, s, w = checked_rows(labels, scores, sample_weight)
    if not np.all((y == 0) | (y == 1)):
        bad = y[(y != 0) & (y != 1)][0]
        raise ValueError(f"labels must be 0 or 1, received {bad}. Turn them into clicks first.")
    groups = np.asarray(groups).reshape(-1)
    if groups.size != y.size:
        raise ValueError(
            f"groups must have one id for each label, received {groups.size} ids and {y.size} "
            "labels."
        )
    if groups.dtype == object and None in (ids := groups.tolist()):
        raise ValueError(
            f"groups must have an id in every row, received None in row {ids.index(None)}; give it "
            "an id of its own, or leave the row out."
        )
    _, group = np.unique(groups, return_inverse=True)
    num_groups = int(group.max(initial=-1)) + 1
    # One pass over all rows, by group and within it by score.
    order = np.lexsort((s, group))
    y, s, w, group = y[order], s[order], w[order], group[order]
    positive, negative = w * y, w * (1 - y)
    is_new = np.ones(y.size, bool)
    is_new[1:] = (group[1:] != group[:-1]) | (s[1:] != s[:-1])
    tie = np.cumsum(is_new) - 1
    group = group[is_new]
    positive, negative = (
        np.bincount(tie, weights=of, minlength=group.size) for of in (positive, negative)
    )

    all_positive, all_negative, num_scores = (
        np.bincount(group, weights=of, minlength=num_groups)
        for of in (positive, negative, np.ones(group.size))
    )
    below = np.cumsum(negative) - negative
    before_group = np.cumsum(all_negative) - all_negative
    ordered = np.bincount(
        group,
        weights=positive * (below - before_group[group] + negative / 2),
        minlength=num_groups,
    )
    pairs = all_positive * all_negative
    counts = (pairs > 0) & (num_scores > 1)
    return float(np.mean(ordered[counts] / pairs[counts])) if counts.any() else 0.5
