"""The standard error of a kernel discrepancy: the linear kernel's closed form, and fresh draws."""

import pytest
import torch
from torch import Tensor

from genkit.metrics.discrepancy_error import DiscrepancyError
from genkit.metrics.kernel import GaussianKernel, kid


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_linear_kernel_is_a_squared_difference_of_means(shift: float) -> None:
    """|m1 − m2|² of white normals, less its bias: variance 4 |δ|² u + 2 D u², u = 1/n + 1/N; given the reference,
    δ is that of the reference's own mean and u = 1/n."""
    m, n, d = 1000, 800, 10
    errors, given = [], []
    for seed in range(30):
        x, y = normal(m, d, 2 * seed), normal(n, d, 2 * seed + 1) + shift
        errors.append(DiscrepancyError.of(x, y, lambda a, b: a @ b.T))
        given.append(4 * float((x.mean(0) - shift).square().sum()) / n + 2 * d / n**2)
    u, delta2 = 1 / n + 1 / m, d * shift**2
    redrawn = sum(error.redrawn_sd**2 for error in errors) / 30
    assert redrawn == pytest.approx(4 * delta2 * u + 2 * d * u**2, rel=0.25)
    assert sum(error.sd**2 for error in errors) / 30 == pytest.approx(sum(given) / 30, rel=0.25)


@pytest.mark.parametrize(("m", "n", "shift"), [(200, 200, 0.0), (150, 400, 0.6)])
def test_the_error_is_the_spread_of_fresh_draws(m: int, n: int, shift: float) -> None:
    kernel = GaussianKernel(2.0)
    drawn = [(normal(m, 4, 2 * i), normal(n, 4, 2 * i + 1) + shift / 2) for i in range(60)]
    errors = [DiscrepancyError.of(x, y, kernel) for x, y in drawn]
    values = torch.stack([kid(x, y, kernel) for x, y in drawn])
    assert sum(error.redrawn_sd for error in errors) / 60 == pytest.approx(float(values.std()), rel=0.35)
    fixed = torch.stack([kid(drawn[0][0], y, kernel) for _, y in drawn])
    given = [DiscrepancyError.of(drawn[0][0], y, kernel).sd for _, y in drawn]
    assert sum(given) / 60 == pytest.approx(float(fixed.std()), rel=0.35)


def test_many_rows_are_thinned_and_counted() -> None:
    x, y = normal(3000, 2, 0), normal(2500, 2, 1) + 0.5
    kernel = GaussianKernel(1.0)
    many, few = DiscrepancyError.of(x, y, kernel), DiscrepancyError.of(x[:750], y[:625], kernel)
    assert many.redrawn_sd == pytest.approx(few.redrawn_sd / 2, rel=0.15)


def test_more_that_is_drawn_varies_no_less() -> None:
    x = normal(60, 2, 0)
    for y in (x, *(normal(n, 2, n) for n in range(4, 40))):
        error = DiscrepancyError.of(x, y, GaussianKernel(1.0))
        assert error.redrawn_sd >= error.sd
