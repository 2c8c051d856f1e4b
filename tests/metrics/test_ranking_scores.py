"""AUROC and average precision against scikit-learn and closed forms, and what their intervals cover."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from genkit.errors import DataError, NumericalError
from genkit.metrics.ranking_scores import auroc, average_precision, separation


@pytest.mark.parametrize("levels", [2, 7, None])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (40, 90), (300, 5)])
def test_both_agree_with_scikit_learn_also_where_scores_are_equal(levels, n, m):
    draw = np.random.default_rng(n + m)
    negatives, positives = draw.normal(size=n), draw.normal(0.7, size=m)
    if levels is not None:
        negatives, positives = (np.round(side * levels / 4) for side in (negatives, positives))
    truth, scores = np.repeat([0, 1], [n, m]), np.concatenate((negatives, positives))
    assert auroc(negatives, positives) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert average_precision(negatives, positives) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)


def test_ends():
    low, high = np.arange(5.0), np.arange(10.0, 15.0)
    assert auroc(low, high) == average_precision(low, high) == 1.0
    assert auroc(high, low) == 0.0
    assert auroc(low, low) == auroc(np.zeros(3), np.zeros(4)) == 0.5
    assert average_precision(np.zeros(3), np.zeros(1)) == 0.25  # the share of positives
    infinite = np.array([np.inf, np.inf])
    assert auroc(low, infinite) == 1.0


def test_two_normal_distributions():
    """Φ(d / √2) for a distance of d standard deviations."""
    draw, distance = np.random.default_rng(0), 1.2
    found = auroc(draw.normal(size=20_000), draw.normal(distance, size=20_000))
    assert found == pytest.approx(0.5 * math.erfc(-distance / 2), abs=0.005)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    draw, truth, covered = np.random.default_rng(1), 0.5 * math.erfc(-0.5), 0
    for seed in range(80):
        told = separation(draw.normal(size=60), draw.normal(1.0, size=60), resamples=60, seed=seed)
        assert told.auroc_ci95 is not None
        covered += told.auroc_ci95[0] <= truth <= told.auroc_ci95[1]
    assert 0.84 <= covered / 80 <= 1.0


def test_a_separation_is_a_function_of_its_seed_and_holds_its_values():
    draw = np.random.default_rng(2)
    sides = draw.normal(size=50), draw.normal(0.5, size=70)
    told = separation(*sides, seed=3)
    assert told == separation(*sides, seed=3) != separation(*sides, seed=4)
    assert told.auroc_ci95[0] < told.auroc < told.auroc_ci95[1]
    assert told.average_precision_ci95[0] < told.average_precision < told.average_precision_ci95[1]
    assert separation(*sides, resamples=0).auroc_ci95 is None


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(DataError):
        auroc(np.zeros(0), np.zeros(3))
    with pytest.raises(NumericalError):
        separation(np.zeros(2), np.array([np.nan]))
