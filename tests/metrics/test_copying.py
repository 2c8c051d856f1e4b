"""Copying: copies are found, fresh data is not accused, and the z-score is that of Mann and Whitney."""

from math import pi

import pytest
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.metrics.base import Probe, ProbeMetric
from genkit.metrics.copying import Authenticity, CopyingTest, mann_whitney


def randn(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scored(metric: ProbeMetric, train: Tensor, fake: Tensor, real: Tensor | None = None) -> float:
    rows = {"train_features": train, "fake_features": fake} | ({} if real is None else {"real_features": real})
    metric.update(Probe(DataSpec((2,), "vector"), {name: lambda x=x: x for name, x in rows.items()}))
    return float(metric.compute())


def test_copies_are_not_authentic() -> None:
    train = randn(400, 16, 0)
    assert scored(Authenticity(), train, train.flip(0)) == 0.0
    assert scored(Authenticity(), train, train + 1e-3 * randn(400, 16, 1)) == 0.0


@pytest.mark.parametrize(("dim", "mutual"), [(1, 2 / 3), (2, 6 * pi / (8 * pi + 3 * 3**0.5))])
def test_fresh_data_is_authentic_unless_it_is_a_mutual_neighbour(dim: int, mutual: float) -> None:
    """A fresh point is closer than the neighbour's own neighbour where the two are nearest to each other: for uniform
    points on a line in 2 of 3 cases, in the plane in 62 % (Clark & Evans 1955)."""
    train, fresh = (torch.rand(8000, dim, generator=torch.Generator().manual_seed(s)).double() for s in (0, 1))
    assert scored(Authenticity(), train, fresh) == pytest.approx(1 - mutual, abs=0.02)


def test_half_of_fresh_normal_data_in_five_dimensions_is_authentic() -> None:
    shares = [scored(Authenticity(), randn(1000, 5, 2 * i), randn(1000, 5, 2 * i + 1)) for i in range(4)]
    assert sum(shares) / 4 == pytest.approx(0.5, abs=0.04)


def test_a_copy_of_what_stands_twice_in_the_training_data_is_not_authentic() -> None:
    """It is as far from the nearest example, 0, as that one is from its own neighbour."""
    train, fake = (torch.tensor(rows).double()[:, None] for rows in ([0.0, 0.0, 1.0, 4.0], [0.0, 0.1, 5.0]))
    assert scored(Authenticity(), train, fake) == pytest.approx(1 / 3)


def test_what_is_off_the_data_is_authentic() -> None:
    assert scored(Authenticity(), randn(300, 4, 0), 100 + randn(300, 4, 1)) == 1.0


def test_held_out_data_against_itself_is_exactly_zero() -> None:
    real = randn(300, 8, 1)
    assert scored(CopyingTest(), randn(400, 8, 0), real, real) == 0.0


def test_copies_are_far_below_and_noise_far_above_zero() -> None:
    train, real = randn(800, 8, 0), randn(800, 8, 1)
    assert scored(CopyingTest(), train, train, real) < -20
    assert scored(CopyingTest(), train, 1.5 * randn(800, 8, 2), real) > 10


def test_fresh_data_has_a_standard_normal_z() -> None:
    train = randn(300, 4, 0)
    z = torch.tensor(
        [scored(CopyingTest(), train, randn(100, 4, 2 * i + 1), randn(100, 4, 2 * i + 2)) for i in range(60)]
    )
    assert abs(float(z.mean())) < 4 / 60**0.5
    assert 0.6 < float(z.std()) < 1.4


def test_z_is_mann_and_whitney_s_with_ties_counted_half() -> None:
    left, right = (randn(40, 1, 0)[:, 0] * 3).round(), (randn(55, 1, 1)[:, 0] * 3 + 1).round()
    u = mannwhitneyu(left, right).statistic
    expected = (u - 40 * 55 / 2) / (40 * 55 * 96 / 12) ** 0.5
    assert mann_whitney(left, right) == pytest.approx(expected, rel=1e-12)
    assert mann_whitney(right, left) == pytest.approx(-expected, rel=1e-12)


def integers(n: int, d: int, levels: int, seed: int) -> Tensor:
    return torch.randint(levels, (n, d), generator=torch.Generator().manual_seed(seed))


def exact_squares(x: Tensor, y: Tensor) -> Tensor:
    return (x[:, None] - y).square().sum(2)


LATTICES = [(2, 10), (4, 6), (2, 1000), (64, 17)]  # columns, levels: from points that mostly tie to 8x8 images


@pytest.mark.parametrize(("d", "levels"), LATTICES)
def test_ties_are_those_of_whole_numbers(d: int, levels: int) -> None:
    """Values in units of a seventh tie up to rounding where whole numbers tie exactly."""
    train, fake, real = (integers(n, d, levels, seed) for seed, n in enumerate((300, 200, 250)))
    to_train, among = exact_squares(fake, train), exact_squares(train, train).fill_diagonal_(2**60)
    nearest = to_train == to_train.amin(1, keepdim=True)
    exceeded = torch.where(nearest, among.amin(1), -1).amax(1)
    rows = [values.double() / 7 + 3 for values in (train, fake, real)]
    wanted = float((to_train.amin(1) > exceeded).double().mean())
    assert scored(Authenticity(), rows[0], rows[1]) == pytest.approx(wanted, abs=1e-12)
    left, right = (exact_squares(values, train).amin(1) for values in (fake, real))
    assert scored(CopyingTest(), *rows) == pytest.approx(mann_whitney(left, right), abs=1e-12)
