"""The energy distance: scipy's square root in one dimension, closed forms, and a jackknife by hand."""

import pytest
import torch
from scipy.stats import energy_distance
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.metrics.base import Probe
from genkit.metrics.energy import DistanceSums, EnergyDistance, energy


def randn(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("m", "n"), [(40, 40), (31, 57)])
def test_in_one_dimension_it_is_the_square_of_scipy_s(m: int, n: int) -> None:
    x, y = randn(m, 1, 0), 1.5 * randn(n, 1, 1) + 0.3
    value = energy(DistanceSums.of(x, y), 0)
    assert float(value) == pytest.approx(energy_distance(x[:, 0], y[:, 0]) ** 2, rel=1e-12)


def test_two_points_by_hand() -> None:
    """x = {0, 1}, y = {3, 5}: twice the mean cross distance 3.5, less 1/2 and 1 (all pairs) or 1 and 2 (different)."""
    x, y = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[3.0], [5.0]]).double()
    assert float(energy(DistanceSums.of(x, y), 0)) == pytest.approx(7 - 0.5 - 1)
    assert float(energy(DistanceSums.of(x, y), 1)) == pytest.approx(7 - 1 - 2)


@pytest.mark.parametrize(("unbiased", "pairs"), [(False, 9), (True, 6)])
def test_the_metric_is_the_plain_estimate_unless_told_otherwise(unbiased: bool, pairs: int) -> None:
    """x = {0, 1, 2}, y = {2, 3, 4}: cross distances sum to 18, those within to 8 on each side."""
    x, y = (torch.arange(3.0).double()[:, None] + shift for shift in (0.0, 2.0))
    metric = EnergyDistance(unbiased=unbiased)
    metric.update(Probe(DataSpec((1,), "vector"), {"real": lambda: x, "fake": lambda: y}))
    assert float(metric.compute()) == pytest.approx(2 * 18 / 9 - 2 * 8 / pairs)
    low, high = metric.interval(0, 0)
    assert low <= float(metric.compute()) <= high


def test_unbiased_estimate_is_zero_on_average() -> None:
    values = torch.stack([energy(DistanceSums.of(randn(50, 3, 2 * i), randn(50, 3, 2 * i + 1)), 1) for i in range(200)])
    assert abs(float(values.mean())) < 4 * float(values.std()) / 200**0.5
    assert 0.2 < float((values < 0).double().mean()) < 0.8
