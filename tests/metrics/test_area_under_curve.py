import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tfrec_models.metrics import auc


def brute_force(labels, scores):
    """The definition, pair by pair."""
    above = pairs = 0.0
    for i, (y, s) in enumerate(zip(labels, scores, strict=True)):
        for j, (z, t) in enumerate(zip(labels, scores, strict=True)):
            if i != j:
                pairs += y * (1 - z)
                above += y * (1 - z) * ((s > t) + 0.5 * (s == t))
    return above / pairs


def test_equals_scikit_learn_with_ties():
    """Ranks with tied scores give the area under the ROC curve."""
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 500), rng.integers(0, 40, 500)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_probabilities_as_labels_equal_the_sum_over_pairs():
    """With probabilities as labels it is the formula over pairs, ties and self pairs included."""
    rng = np.random.default_rng(1)
    labels, scores = rng.random(200), rng.integers(0, 50, 200)
    assert auc(labels, scores) == pytest.approx(brute_force(labels, scores), abs=1e-12)
    assert auc(labels, labels) == pytest.approx(brute_force(labels, labels), abs=1e-12)


def test_probabilities_as_labels_equal_the_mean_over_drawn_labels():
    """Numerator and denominator are expectations over labels drawn from the probabilities."""
    p, scores = np.array([0.2, 0.7, 0.5]), np.array([1.0, 3.0, 2.0])
    above = pairs = 0.0
    for labels in np.ndindex(2, 2, 2):
        y = np.array(labels)
        chance = np.prod(np.where(y == 1, p, 1 - p))
        count = y.sum() * (3 - y.sum())
        pairs += chance * count
        above += chance * count * (auc(y, scores) if count else 0)
    assert auc(p, scores) == pytest.approx(above / pairs, abs=1e-12)


def test_perfect_reversed_and_constant_scores():
    """The ends of the range, and one half where all scores are equal."""
    assert auc([0, 0, 1], [1, 2, 3]) == 1.0
    assert auc([0, 0, 1], [3, 2, 1]) == 0.0
    assert auc([0, 0, 1], [5, 5, 5]) == 0.5


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.5], "received 2 labels and 1 scores"),
        ([0, 2], [0.5, 0.6], r"must lie in \[0, 1\], received 2.0"),
        ([0, np.nan], [0.5, 0.6], "received nan"),
        ([0, 1], [0.5, np.nan], "received NaN in row 1"),
        ([1, 1], [0.5, 0.6], "received 2 labels summing to 2"),
        ([0, 0], [0.5, 0.6], "at least one positive and one negative"),
        ([], [], "received 0 labels"),
    ],
)
def test_errors(labels, scores, message):
    """Each bad input is refused with what was received."""
    with pytest.raises(ValueError, match=message):
        auc(labels, scores)
