"""Sums from moments are those over pairs."""

import pytest
import torch
from torch import Tensor

from genkit.metrics import polynomial
from genkit.metrics.kernel import KernelSums, PolynomialKernel, block_sums, mmd_squared
from genkit.metrics.polynomial import polynomial_sums, worth_it


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_moments(x: Tensor, y: Tensor, kernel: PolynomialKernel) -> KernelSums:
    return KernelSums(*polynomial_sums(x, y, kernel.degree, kernel.offset), len(x))


KERNELS = [PolynomialKernel(1, 0.3), PolynomialKernel(2, 2.0), PolynomialKernel(), PolynomialKernel(3, 1e-3)]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: f"{kernel.degree}, {kernel.offset}")
@pytest.mark.parametrize("dim", [1, 2, 7, 40])
@pytest.mark.parametrize("piece", [1, 100, 2**16])
def test_moments_are_the_sums_over_pairs(
    kernel: PolynomialKernel, dim: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polynomial, "PIECE", piece)
    x, y = normal(23, dim), 1.3 * normal(17, dim, seed=1) + 0.5
    size = kernel(torch.cat([x, y]), torch.cat([x, y])).abs().sum()  # sums of signed terms are relative to this
    for got, wanted in zip(by_moments(x, y, kernel)[:3], block_sums(x, y, kernel)[:3], strict=True):
        assert got.shape == wanted.shape
        assert float((got - wanted).abs().max() / size) < 1e-14


@pytest.mark.parametrize("shift", [0.0, 10.0])
@pytest.mark.parametrize("spread", [1e-2, 1.0, 1e2])
def test_estimates_are_the_same(shift: float, spread: float) -> None:
    x, y = (spread * normal(400, 8, seed=seed) + shift for seed in (0, 1))
    x = x * 1.1
    moments, pairs = (sums(x, y, PolynomialKernel()) for sums in (by_moments, block_sums))
    assert float(mmd_squared(moments)) == pytest.approx(float(mmd_squared(pairs)), rel=1e-10)


def test_moments_are_chosen_where_they_are_cheap() -> None:
    for rows, dim, degree, cheap in (
        (10_000, 64, 3, True),
        (10_000, 128, 3, False),
        (1_000, 64, 3, False),
        (1_000, 64, 2, True),
        (1_000, 2, 4, False),
    ):
        x = normal(rows, dim)
        assert worth_it(x, x, degree, 1.0) is cheap, (rows, dim, degree)


def test_a_row_far_out_is_left_to_the_pairs() -> None:
    """Its kernel with itself, 10²⁴, would leave 10⁸ of rounding in what it adds to the sums over different rows."""
    x, y = normal(300, 4), normal(300, 4, seed=1)
    assert worth_it(x, y, 3, 1.0)
    y[7] *= 1e4
    assert not worth_it(x, y, 3, 1.0)
    assert not worth_it(y, x, 3, 1.0)
