"""Curves of labels and scores, in NumPy.

Labels are 0 and 1, both of which there are; scores are finite.
"""

import dataclasses

import numpy as np

# Points of a curve that is drawn.
_POINTS = 300
_Z95 = 1.959964


def roc(labels, scores):
    """False and true positive rates (k,) each, one a distinct score from the highest down.

    The first point is (0, 0), where no row is taken.
    """
    hits, misses = _taken(labels, scores)
    return np.append(0, misses / misses[-1]), np.append(0, hits / hits[-1])


def precision_recall(labels, scores):
    """Precision and recall (k,) each, one a distinct score from the highest down."""
    hits, misses = _taken(labels, scores)
    return hits / (hits + misses), hits / hits[-1]


def average_precision(precision, recall):
    """Σ (recall_i - recall_{i-1}) precision_i."""
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def thinned(x, *others):
    """At most some hundred points of a curve over a rising x, its ends among them."""
    kept = np.searchsorted(x, np.linspace(x[0], x[-1], _POINTS))
    kept = np.unique(np.append(kept, [0, len(x) - 1]))
    return tuple(values[kept] for values in (x, *others))


def _taken(labels, scores):
    """Positive and negative rows with at least each distinct score, the highest first."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    hits = np.cumsum(labels[order])[ends]
    return hits, ends + 1 - hits


@dataclasses.dataclass(frozen=True)
class RankedArea:
    """The area under the ROC curve and what it varies by.

    Each positive row is placed among the negative ones, and the reverse: the share of them that it
    is ranked right against, ties counting half. The area is the mean of either; their variances
    give its standard error (DeLong et al., "Comparing the areas under two or more correlated
    receiver operating characteristic curves", Biometrics 44, 1988):

        error = sqrt(var(of positive) / num_positive + var(of negative) / num_negative)

    Args:
        positive: array (num_positive,), places of the positive rows.
        negative: array (num_negative,), places of the negative rows.
    """

    positive: np.ndarray
    negative: np.ndarray

    @classmethod
    def of(cls, labels, scores):
        """The area of labels and scores."""
        positive, negative = scores[labels == 1], scores[labels == 0]
        below = _share_below(np.sort(negative), positive)
        return cls(below, 1 - _share_below(np.sort(positive), negative))

    @property
    def value(self):
        """The area, in [0, 1]."""
        return float(self.positive.mean())

    @property
    def error(self):
        """Its standard error over draws of the rows."""
        return _error(self.positive, self.negative)

    def minus(self, other):
        """How much larger the area is than another of the same rows, and the standard error."""
        differences = self.positive - other.positive, self.negative - other.negative
        return float(differences[0].mean()), _error(*differences)


def _share_below(ordered, numbers):
    low, high = (np.searchsorted(ordered, numbers, side) for side in ("left", "right"))
    return (low + high) / (2 * len(ordered))


def _error(positive, negative):
    # Of a single row nothing is known; it counts as one that never varies.
    parts = (part.var(ddof=min(1, len(part) - 1)) / len(part) for part in (positive, negative))
    return float(np.sqrt(sum(parts)))


def reliability(labels, scores, groups=10):
    """Mean score and label rate of groups of rows by score, as equal in size as ties allow.

    Returns:
        list of dict: rows, score (mean), rate (of label 1), low and high (Wilson's 95% interval of
        the rate).
    """
    edges = np.unique(np.quantile(scores, np.arange(1, groups) / groups))
    group = np.searchsorted(edges, scores, side="left")
    found = []
    for number in np.unique(group):
        inside = group == number
        rows, rate = int(inside.sum()), float(labels[inside].mean())
        square = _Z95**2 / rows
        middle = (rate + square / 2) / (1 + square)
        half = _Z95 * np.sqrt(rate * (1 - rate) / rows + square / (4 * rows)) / (1 + square)
        found.append(
            {
                "rows": rows,
                "score": float(scores[inside].mean()),
                "rate": rate,
                "low": max(float(middle - half), 0.0),
                "high": min(float(middle + half), 1.0),
            }
        )
    return found


def histogram(labels, scores, bars=40):
    """Edges of bars over the scores, and the share of each label's rows in each.

    The outer bars hold the outermost 0.1% too.

    Returns:
        edges (bars + 1,), shares (2, bars) of label 0 and 1.
    """
    low, high = np.quantile(scores, [0.001, 0.999])
    if low == high:
        low, high = low - 0.005, high + 0.005
    clipped = np.clip(scores, low, high)
    counts = [np.histogram(clipped[labels == y], bars, (low, high)) for y in (0, 1)]
    return counts[0][1], np.stack([count / count.sum() for count, _ in counts])
