"""The two-sample test: Φ(d/2) for shifted normals, 1/2 for equal ones, scikit-learn's weights, blindness of a line."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics.base import Probe
from genkit.metrics.c2st import ClassifierTest, LogisticTest, NeighbourTest, logistic_weights, votes
from genkit.noise import generator_of


def randn(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scored(metric: ClassifierTest, real: Tensor, fake: Tensor) -> float:
    metric.update(Probe(DataSpec((2,), "vector"), {"real_features": lambda: real, "fake_features": lambda: fake}))
    return float(metric.compute())


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(
    ("test", "n", "tolerance"),
    [(LogisticTest(), 6000, 0.015), (NeighbourTest(k=101), 2500, 0.03)],
    ids=["line", "near"],
)
def test_shifted_normals_are_told_apart_with_probability_phi(
    test: ClassifierTest, n: int, tolerance: float, shift: float
) -> None:
    expected = float(torch.special.ndtr(torch.tensor(shift / 2, dtype=torch.float64)))
    value = scored(test.clone(), randn(n, 1, 0), randn(n, 1, 1) + shift)
    assert value == pytest.approx(expected, abs=tolerance)


def test_a_ring_is_no_line() -> None:
    """Equal means, another spread: neighbours see it, a linear classifier does not."""
    real, fake = randn(1000, 2, 0), 3.0 * randn(1000, 2, 1)
    assert scored(LogisticTest(), real, fake) == pytest.approx(0.5, abs=0.06)
    assert scored(NeighbourTest(), real, fake) > 0.7


def test_disjoint_sets_are_always_told_apart() -> None:
    for test in (LogisticTest(), NeighbourTest()):
        assert scored(test, randn(100, 3, 0), randn(60, 3, 1) + 100) == 1.0
        assert test.findings()["rows"] == 120


def test_equal_points_leave_it_undecided() -> None:
    points = torch.ones(40, 2, dtype=torch.float64)
    assert scored(LogisticTest(), points, points) == pytest.approx(0.5, abs=0.01)


def test_weights_are_scikit_learn_s() -> None:
    x = randn(300, 4, 0)
    y = (x[:, 0] - 0.5 * x[:, 1] + 0.5 * randn(300, 1, 1)[:, 0] > 0).double()
    other = LogisticRegression(C=1 / 2.5, fit_intercept=False, tol=1e-12, max_iter=1000).fit(x, y)
    torch.testing.assert_close(logistic_weights(x, y, 2.5), torch.from_numpy(other.coef_[0]), rtol=0, atol=1e-5)


class Recorder(ClassifierTest):
    """Tells nothing, and keeps the rows that it was fitted to."""

    def __init__(self) -> None:
        super().__init__(folds=5, seed=0)
        self.fitted: list[Tensor] = []

    def score(self, x: Tensor, y: Tensor, asked: Tensor) -> Tensor:
        self.fitted.append(x)
        return torch.zeros(len(asked), dtype=torch.float64)


def test_columns_are_standardised_by_the_rows_of_the_fit_alone() -> None:
    test = Recorder()
    assert scored(test, randn(50, 2, 0), 5.0 * randn(50, 2, 1) + 3.0) == 0.5
    assert [len(x) for x in test.fitted] == [80] * 5
    for x in test.fitted:
        torch.testing.assert_close(x.mean(0), torch.zeros(2).double(), rtol=0, atol=1e-12)
        torch.testing.assert_close(x.std(0), torch.ones(2).double(), rtol=0, atol=1e-12)


def test_of_the_larger_set_rows_are_taken_from_all_of_it() -> None:
    """Its rows are in the order of their values: the first 300 alone could be told from any fresh ones."""
    real = randn(3000, 1, 0).sort(0).values
    assert scored(NeighbourTest(), real, randn(300, 1, 1)) == pytest.approx(0.5, abs=0.08)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 10"):
        scored(NeighbourTest(), randn(9, 2, 0), randn(9, 2, 1))


@pytest.mark.parametrize(("d", "levels", "k"), [(2, 8, 3), (3, 4, 4), (2, 500, 5), (64, 17, 15)])
def test_votes_of_equally_near_rows_are_those_of_whole_numbers(d: int, levels: int, k: int) -> None:
    x, asked = (torch.randint(levels, (n, d), generator=torch.Generator().manual_seed(n)) for n in (150, 90))
    signs = 2 * (torch.arange(150) % 2) - 1
    d2 = (asked[:, None] - x).square().sum(2)
    kth = d2.sort(1).values[:, k - 1 : k]
    near, rim = d2 < kth, d2 == kth
    wanted = (near * signs).sum(1) * rim.sum(1) + (k - near.sum(1)) * (rim * signs).sum(1)
    found = votes(asked.double() / 7, x.double() / 7, signs.double(), k)
    assert torch.equal(found, wanted.double())


@pytest.mark.parametrize(
    ("metric", "peer"),
    [
        (NeighbourTest(k=7, folds=4), KNeighborsClassifier(7, algorithm="brute")),
        (NeighbourTest(k=1, folds=3), KNeighborsClassifier(1, algorithm="brute")),
        (LogisticTest(penalty=0.5, folds=4), LogisticRegression(C=2.0, fit_intercept=False, tol=1e-10, max_iter=500)),
    ],
    ids=["7 neighbours", "1 neighbour", "logistic"],
)
def test_accuracy_is_scikit_learn_s_in_the_same_folds(metric: ClassifierTest, peer: Any) -> None:
    """Columns of unlike scale, sets of unlike size: equal numbers of both, standardised by the rows of the fit."""
    scales = torch.tensor([1.0, 10.0, 0.1]).double()
    real, fake = randn(160, 3, 0) * scales, (1.3 * randn(130, 3, 1) + 0.4) * scales
    found = scored(metric, real, fake)
    both = []
    for rows, side in zip(metric.rows(), ("real", "fake"), strict=True):
        order = torch.randperm(len(rows), generator=generator_of(0, "two sample", side))
        both.append(rows[order][:130].numpy())
    x, y = np.concatenate(both), np.repeat([0, 1], 130)
    folds = PredefinedSplit(np.tile(np.arange(130) % metric.folds, 2))
    ones = FunctionTransformer(lambda rows: np.hstack([rows, np.ones((len(rows), 1))]))  # an intercept, penalised too
    right = cross_val_predict(make_pipeline(StandardScaler(), ones, clone(peer)), x, y, cv=folds) == y
    assert found == pytest.approx(float(right.mean()), abs=1e-12)
    assert 0.55 < found < 0.95
