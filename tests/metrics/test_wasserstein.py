"""The exact Wasserstein distance: translations, brute force, one dimension, and what POT computes."""

from itertools import permutations

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.metrics.base import Probe
from genkit.metrics.wasserstein import Wasserstein, squared_wasserstein


def randn(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scored(x: Tensor, y: Tensor, **arguments: int) -> Wasserstein:
    metric = Wasserstein(**arguments)
    metric.update(Probe(DataSpec((x.shape[1],), "vector"), {"real": lambda: x, "fake": lambda: y}))
    return metric


def test_a_translation_costs_its_length() -> None:
    x, shift = randn(60, 3, 0), torch.tensor([0.3, -0.4, 1.2], dtype=torch.float64)
    assert float(squared_wasserstein(x, x + shift)) == pytest.approx(1.69, rel=1e-10)


def test_it_is_the_best_of_all_assignments() -> None:
    x, y = randn(6, 2, 0), randn(6, 2, 1)
    best = min(float((x - y[list(order)]).square().sum(1).mean()) for order in permutations(range(6)))
    assert float(squared_wasserstein(x, y)) == pytest.approx(best, rel=1e-12)


def test_in_one_dimension_it_matches_quantiles() -> None:
    x, y = randn(200, 1, 0), 2 * randn(200, 1, 1)
    expected = (x.sort(0).values - y.sort(0).values).square().mean()
    assert float(squared_wasserstein(x, y)) == pytest.approx(float(expected), rel=1e-12)


def test_it_is_what_pot_computes() -> None:
    """ot.emd2 (POT 0.9.7) of the same 150 and 150 points with uniform weights."""
    assert float(squared_wasserstein(randn(150, 2, 0), 1.2 * randn(150, 2, 1) + 0.1)) == pytest.approx(
        0.40536187525540235, rel=1e-10
    )


def test_disjoint_subsets_are_averaged_in_squares() -> None:
    x, y = randn(250, 2, 0), randn(230, 2, 1) + 1.0
    metric = scored(x, y, points=50, subsets=10)
    assert metric.findings() == {"subsets used": 4}
    low, high = metric.interval(0, 0)
    assert low < float(metric.compute()) < high
    assert float(metric.compute()) == pytest.approx(2**0.5, abs=0.3)
    whole = scored(x[:230], y, points=1000)
    assert float(whole.compute()) == pytest.approx(float(squared_wasserstein(x[:230], y).sqrt()), rel=1e-9)
    assert whole.interval(0, 0) is None


def test_the_subsets_of_equal_sets_are_not_the_same_rows() -> None:
    """So a copy is as far from its original as a fresh draw is, where subsets are compared."""
    x = randn(200, 2, 0)
    copied, fresh = (float(scored(x, y, points=20, subsets=10).compute()) for y in (x, randn(200, 2, 1)))
    assert copied == pytest.approx(fresh, rel=0.2)
    assert float(scored(x, x).compute()) == 0.0  # whole sets are


def test_shifted_normals_are_their_shift_apart_and_a_little_more() -> None:
    """W₂² of two normals is |shift|² = 0.02; of n points more, by what the floor of equal normals shows."""
    value = float(scored(randn(1000, 2, 0), randn(1000, 2, 1) + 0.1).compute() ** 2)
    floor = float(scored(randn(1000, 2, 2), randn(1000, 2, 3)).compute() ** 2)
    assert 0.02 < value < 0.02 + 2 * floor
