"""Bias and standard error of a Fréchet distance: closed forms, a derivative by differences, fresh draws."""

import pytest
import torch
from torch import Tensor

from genkit.metrics.frechet import FrechetDistance, frechet_distance
from genkit.metrics.frechet_error import FrechetError
from genkit.metrics.moments import Moments


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distance(x: Tensor, y: Tensor) -> float:
    a, b = Moments.of(x), Moments.of(y)
    return float(frechet_distance(a.mean, a.covariance, b.mean, b.covariance))


def metric_of(x: Tensor, y: Tensor) -> FrechetDistance:
    metric = FrechetDistance()
    metric.real, metric.fake = [x], [y]
    return metric


def error_of(x: Tensor, y: Tensor) -> FrechetError:
    found = FrechetError.of(x, y)
    assert found is not None
    return found


def test_white_gaussians_have_the_bias_of_the_textbook() -> None:
    """D (1 + (D + 1)/4) (1/n + 1/N): 16 · 5.25 · (1/4000 + 1/8000)."""
    error = error_of(normal(8000, 16, 0), normal(4000, 16, 1))
    assert error.bias == pytest.approx(16 * 5.25 * (1 / 4000 + 1 / 8000), rel=0.03)


def test_one_dimension_by_hand() -> None:
    """FD = (m1 − m2)² + (σ1 − σ2)² of two normals; its first and second order are elementary.

    With σ̂² of variance 2σ⁴/n: bias σ²/n + σ1 σ2 / (2n) a side, and where the means differ by m and the standard
    deviations by s, the variance of first order is 4 m² σ²/n + 2 s² σ²/n a side.
    """
    n, m, a, b = 200_000, 1.0, 1.0, 1.5
    error = error_of(a * normal(n, 1, 0), b * normal(n, 1, 1) + m)
    assert error.bias == pytest.approx((a**2 + b**2 + a * b) / n, rel=0.03)
    first = [4 * m**2 * s**2 / n + 2 * (a - b) ** 2 * s**2 / n for s in (a, b)]
    assert error.sd**2 == pytest.approx(first[1], rel=0.03)
    assert error.redrawn_sd**2 == pytest.approx(sum(first), rel=0.03)


def test_the_error_is_the_spread_of_the_influence_of_single_rows() -> None:
    """Far from equality the second order is small, and a row's influence is what its weight does to the distance."""
    x, y = normal(4000, 3, 0), 2.0 * normal(3000, 3, 1) + 1.0
    keep = torch.ones(3000, dtype=torch.bool)
    whole, changes = distance(x, y), []
    for i in range(0, 3000, 30):
        keep[i] = False
        changes.append((whole - distance(x, y[keep])) * 2999)
        keep[i] = True
    assert error_of(x, y).sd == pytest.approx(float(torch.tensor(changes).std()) / 3000**0.5, rel=0.25)


@pytest.mark.parametrize(("total", "n", "d", "shift"), [(300, 300, 6, 0.0), (600, 200, 12, 0.5), (200, 900, 4, 1.0)])
def test_intervals_and_bias_are_those_of_fresh_draws(total: int, n: int, d: int, shift: float) -> None:
    step = shift / d**0.5
    drawn = [(normal(total, d, 2 * i), normal(n, d, 2 * i + 1) + step) for i in range(60)]
    values = torch.tensor([distance(x, y) for x, y in drawn])
    errors = [error_of(x, y) for x, y in drawn]
    assert sum(e.redrawn_sd for e in errors) / 60 == pytest.approx(float(values.std()), rel=0.35)
    bias = float(values.mean()) - shift**2
    assert sum(e.bias for e in errors) / 60 == pytest.approx(bias, rel=0.2, abs=3 * float(values.std()) / 60**0.5)
    fixed = torch.tensor([distance(drawn[0][0], y) for _, y in drawn])
    assert sum(error_of(drawn[0][0], y).sd for _, y in drawn) / 60 == pytest.approx(float(fixed.std()), rel=0.35)


def test_the_metric_gives_both_intervals_and_the_value_without_its_bias() -> None:
    x, y = normal(400, 5, 0), normal(200, 5, 1) + 0.2
    metric, error = metric_of(x, y), error_of(x, y)
    value = float(metric.compute())
    near, far = metric.interval(0, 0), metric.redrawn_interval(0, 0)
    assert near is not None
    assert far is not None
    assert far[0] < near[0] < value < near[1] < far[1]
    assert metric.bias_corrected() == pytest.approx(value - error.bias)
    assert metric_of(x[:, :2], y[:, :2]).bias_corrected() is None  # 200 rows are 50 for each of 4 columns at least


def test_so_few_rows_have_no_error_and_useless_columns_change_none() -> None:
    assert FrechetError.of(normal(5, 5, 0), normal(90, 5, 1)) is None
    assert metric_of(normal(5, 5, 0), normal(90, 5, 1)).interval(0, 0) is None
    x, y = normal(90, 3, 0), normal(80, 3, 1)
    padded = [torch.cat([rows, torch.zeros(len(rows), 2, dtype=rows.dtype)], 1) for rows in (x, y)]
    plain, wide = error_of(x, y), error_of(*padded)
    assert (wide.sd, wide.redrawn_sd, wide.bias) == pytest.approx((plain.sd, plain.redrawn_sd, plain.bias), rel=1e-9)


def test_a_turned_space_has_the_same_error() -> None:
    x, y = normal(90, 4, 0), 1.5 * normal(80, 4, 1)
    turn = torch.linalg.qr(normal(4, 4, 2)).Q
    plain, turned = error_of(x, y), error_of(x @ turn, y @ turn)
    assert (turned.sd, turned.redrawn_sd, turned.bias) == pytest.approx((plain.sd, plain.redrawn_sd, plain.bias))


def test_more_that_is_drawn_varies_no_less() -> None:
    for n in range(6, 40):
        error = error_of(normal(n, 5, n), normal(n, 5, n + 100))
        assert error.redrawn_sd >= error.sd
