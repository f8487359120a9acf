"""Curves of labels and scores, against scikit-learn and numbers by hand."""

import numpy as np
import pytest
from sklearn import calibration, metrics

from tfrec_models.report import _curves

RNG = np.random.default_rng(0)
SCORES = {
    "distinct": RNG.random(2000),
    "tied": RNG.integers(0, 20, 2000) / 20,
    "equal": np.full(2000, 0.25),
}


@pytest.fixture(params=SCORES)
def rows(request):
    """Labels drawn from the scores, and the scores."""
    scores = SCORES[request.param]
    return (np.random.default_rng(1).random(len(scores)) < scores).astype(float), scores


def test_curves_are_those_of_scikit_learn(rows):
    """ROC, precision over recall and their areas, of scores with and without ties."""
    labels, scores = rows
    false, true, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(_curves.roc(labels, scores), (false, true), atol=1e-12)
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    ours = _curves.precision_recall(labels, scores)
    # Theirs rise with the threshold, and end in a point without a row.
    np.testing.assert_allclose(ours, (precision[-2::-1], recall[-2::-1]), atol=1e-12)
    expected = metrics.average_precision_score(labels, scores)
    np.testing.assert_allclose(_curves.average_precision(*ours), expected)
    area = _curves.RankedArea.of(labels, scores).value
    np.testing.assert_allclose(area, metrics.roc_auc_score(labels, scores))


def test_a_thinned_curve_has_its_ends_and_its_area():
    """Some hundred points of 100,000 change the area by less than 1e-4."""
    scores = np.random.default_rng(2).random(100_000)
    labels = (np.random.default_rng(3).random(100_000) < scores).astype(float)
    false, true = _curves.roc(labels, scores)
    x, y = _curves.thinned(false, true)
    assert len(x) < 400
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert abs(np.trapezoid(y, x) - np.trapezoid(true, false)) < 1e-4


def test_errors_of_areas_by_hand():
    """Two positive and two negative rows, one pair of which is ranked wrong."""
    labels = np.array([1.0, 1, 0, 0])
    area = _curves.RankedArea.of(labels, np.array([0.9, 0.4, 0.6, 0.1]))
    np.testing.assert_allclose((area.positive, area.negative), [[1, 0.5], [0.5, 1]])
    # Variances of 1/8 each, over two rows each.
    np.testing.assert_allclose((area.value, area.error), (0.75, 0.125**0.5))
    whole = _curves.RankedArea.of(labels, np.array([0.9, 0.8, 0.2, 0.1]))
    assert (whole.value, whole.error) == (1, 0)
    np.testing.assert_allclose(area.minus(whole), (-0.25, 0.125**0.5))
    assert area.minus(area) == (0, 0)


def test_the_error_is_what_areas_of_other_draws_vary_by():
    """Of 400 draws, to 15%; of differences between two scores of the same rows too."""
    rng, areas, errors = np.random.default_rng(4), [], []
    for _ in range(400):
        truth = rng.random(300)
        labels = (rng.random(300) < truth).astype(float)
        both = [
            _curves.RankedArea.of(labels, truth + noise * rng.random(300)) for noise in (0.5, 1)
        ]
        difference, error = both[0].minus(both[1])
        areas.append((both[0].value, difference))
        errors.append((both[0].error, error))
    np.testing.assert_allclose(np.std(areas, axis=0), np.mean(errors, axis=0), rtol=0.15)


def test_deciles_are_those_of_scikit_learn():
    """Mean scores and rates of ten groups of distinct scores."""
    scores = SCORES["distinct"]
    labels = (np.random.default_rng(1).random(len(scores)) < scores).astype(float)
    groups = _curves.reliability(labels, scores)
    rate, score = calibration.calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    np.testing.assert_allclose([group["rate"] for group in groups], rate)
    np.testing.assert_allclose([group["score"] for group in groups], score)
    assert [group["rows"] for group in groups] == [200] * 10


def test_groups_of_ties_and_their_intervals():
    """Equal scores are one group, whatever the rows' order; Wilson's interval of 3 in 10."""
    labels = np.array([1.0] * 3 + [0] * 7)
    [group] = _curves.reliability(labels, np.full(10, 0.25))
    assert (group["rows"], group["score"], group["rate"]) == (10, 0.25, 0.3)
    np.testing.assert_allclose((group["low"], group["high"]), (0.1078, 0.6032), atol=1e-4)
    low, high = _curves.reliability(np.repeat([0.0, 1], 5), np.repeat([0.0, 1], 5))
    assert (low["rate"], low["low"], high["rate"], high["high"]) == (0, 0, 1, 1)


def test_histograms_hold_all_rows_of_each_label(rows):
    """Shares of each label add up to 1, with equal scores too."""
    labels, scores = rows
    edges, shares = _curves.histogram(labels, scores)
    assert (len(edges), shares.shape) == (41, (2, 40))
    assert np.all(np.diff(edges) > 0)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
