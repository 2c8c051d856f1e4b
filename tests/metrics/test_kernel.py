"""Kernel distances against double loops, closed forms and their own unbiasedness."""

import math

import pytest
import torch
from torch import Tensor

from genkit.data.order import canonical_order
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics import distances
from genkit.metrics.base import Probe, ProbeMetric
from genkit.metrics.kernel import (
    GaussianDiscrepancy,
    GaussianKernel,
    Kernel,
    KernelDistance,
    PolynomialKernel,
    SubsetKernelDistance,
    block_sums,
    kernel_sums,
    kid,
    median_distance,
    mmd_squared,
)
from genkit.noise import generator_of


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fed(metric: ProbeMetric, real: Tensor, fake: Tensor) -> ProbeMetric:
    rows = {"real": real, "fake": fake, "real_features": real, "fake_features": fake}
    metric.update(Probe(DataSpec((real.shape[1],), "vector"), {name: lambda x=x: x for name, x in rows.items()}))
    return metric


def by_double_loop(x: Tensor, y: Tensor, kernel: Kernel) -> float:
    def mean(a: Tensor, b: Tensor, skip: bool) -> float:
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not (skip and i == j)]
        return sum(float(kernel(a[i : i + 1], b[j : j + 1])) for i, j in pairs) / len(pairs)

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


@pytest.mark.parametrize("kernel", [PolynomialKernel(), GaussianKernel(1.3)], ids=["cubic", "gaussian"])
@pytest.mark.parametrize("elements", [1, 50, 2**21])
def test_blocks_are_the_double_loop(kernel: Kernel, elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "BLOCK_ELEMENTS", elements)
    x, y = normal(20, 3), normal(17, 3, seed=1) + 0.5
    wanted = by_double_loop(x, y, kernel)
    assert float(mmd_squared(block_sums(x, y, kernel))) == pytest.approx(wanted, abs=1e-10)
    assert float(kid(x, y, kernel)) == pytest.approx(wanted, abs=1e-10)


def test_kernels_are_their_formulas() -> None:
    x, y = torch.tensor([[0.0, 0.0]]).double(), torch.tensor([[3.0, 4.0], [0.0, 1.0]]).double()
    assert GaussianKernel(2.0)(x, y)[0].tolist() == pytest.approx([math.exp(-25 / 8), math.exp(-1 / 8)], rel=1e-10)
    assert PolynomialKernel()(y, y)[0].tolist() == pytest.approx([13.5**3, 3.0**3], rel=1e-12)


def test_kid_is_unbiased() -> None:
    """Under the null its mean is 0 and about half of the values are negative; a diagonal left in would show at once."""
    values = torch.stack([kid(normal(100, 8, seed=2 * i), normal(100, 8, seed=2 * i + 1)) for i in range(400)])
    assert abs(float(values.mean())) < 4 * float(values.std()) / 20
    assert 140 < int((values < 0).sum()) < 260


def test_kid_of_shifted_normals() -> None:
    """N(0, 1) against N(1/2, 1): with moments (0, 1, 0), (1/2, 5/4, 13/8) of orders 1 to 3,
    MMD² = 3 (1/2)² + 3 (1/4)² + (13/8)² = 3.578125."""
    values = torch.stack([kid(normal(1000, 1, seed=i), normal(1000, 1, seed=100 + i) + 0.5) for i in range(10)])
    assert abs(float(values.mean()) - 3.578125) < 4 * float(values.std()) / math.sqrt(10)


def test_subsets_of_everything_are_the_full_estimate() -> None:
    x, y = normal(50, 4), normal(50, 4, seed=1) * 1.2
    full = float(fed(KernelDistance(), x, y).compute())
    assert float(fed(SubsetKernelDistance(subsets=3, subset_size=50), x, y).compute()) == pytest.approx(full, abs=1e-9)


def test_order_of_rows_changes_nothing() -> None:
    x, y = normal(50, 4), normal(40, 4, seed=1) * 1.2
    full = float(fed(KernelDistance(), x, y).compute())
    assert float(fed(KernelDistance(), x.flip(0), y.roll(7, 0)).compute()) == pytest.approx(full, rel=1e-12)


def test_subsets_average_around_the_full_estimate() -> None:
    x, y = normal(300, 4), normal(300, 4, seed=1) * 1.2
    metric = fed(SubsetKernelDistance(subsets=200, subset_size=60), x, y)
    full = float(fed(KernelDistance(), x, y).compute())
    assert float(metric.compute()) == pytest.approx(full, abs=0.3 * full)
    again = fed(SubsetKernelDistance(subsets=200, subset_size=60), x, y)
    assert float(metric.compute()) == float(again.compute())


def test_gaussian_mmd_of_shifted_normals() -> None:
    """2 (s/(s + 2))^{d/2} (1 − exp(−|μ|²/(2(s + 2)))) with s = bandwidth² = 2, d = 3, |μ| = 1: 0.0830872."""
    wanted = 2 * 0.5**1.5 * (1 - math.exp(-1 / 8))
    assert wanted == pytest.approx(0.0830872, abs=1e-7)
    shift = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    kernel = GaussianKernel(math.sqrt(2.0))
    values = torch.stack(
        [kid(normal(500, 3, seed=i), normal(500, 3, seed=1000 + i) + shift, kernel) for i in range(40)]
    )
    assert abs(float(values.mean()) - wanted) < 4 * float(values.std()) / math.sqrt(40)


def test_mmd_sums_over_bandwidths_of_the_reference_alone() -> None:
    x, y = normal(60, 2), 3.0 * normal(50, 2, seed=1)
    metric = fed(GaussianDiscrepancy(), x, y)
    median = float(torch.nn.functional.pdist(x).median())
    each = [float(kid(x, y, GaussianKernel(median * multiple))) for multiple in (0.5, 1.0, 2.0, 5.0)]
    assert float(metric.compute()) == pytest.approx(sum(each), abs=1e-10)
    assert metric.findings()["each"] == pytest.approx(each, abs=1e-10)


def test_median_of_many_rows_ignores_their_order() -> None:
    rows = normal(5000, 2)
    median = float(median_distance(rows))
    assert float(median_distance(rows.flip(0))) == median
    assert median == pytest.approx(math.sqrt(4 * math.log(2)), rel=0.03)  # |x − x'|² / 4 is exponential


@pytest.mark.parametrize("make", [KernelDistance, GaussianDiscrepancy, lambda: SubsetKernelDistance(20, 100)])
def test_interval_has_the_spread_of_fresh_samples(make: type[ProbeMetric]) -> None:
    x = normal(250, 3)
    fresh = torch.stack([fed(make(), x, normal(150, 3, seed=i) + 0.5).compute() for i in range(1, 31)])
    low, high = fed(make(), x, normal(150, 3, seed=99) + 0.5).interval(50, 0) or (0.0, 0.0)
    assert (high - low) / (2 * 1.96) == pytest.approx(float(fresh.std()), rel=0.5)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 3 fake samples, got 2"):
        fed(KernelDistance(), normal(9, 2), normal(2, 2)).compute()
    with pytest.raises(ConfigError, match="subset_size=1000 of 9 samples"):
        fed(SubsetKernelDistance(), normal(9, 2), normal(9, 2)).compute()
    with pytest.raises(ConfigError, match="no bandwidth"):
        fed(GaussianDiscrepancy(), torch.ones(9, 2), normal(9, 2)).compute()
    with pytest.raises(ConfigError, match="bandwidths is empty"):
        GaussianDiscrepancy(())


@pytest.mark.parametrize(("m", "n", "subsets", "size"), [(40, 30, 7, 10), (25, 31, 9, 25), (30, 30, 1, 11)])
def test_subsets_are_random_pairs_without_replacement(m: int, n: int, subsets: int, size: int) -> None:
    metric = SubsetKernelDistance(subsets, size)
    side = math.ceil(math.sqrt(subsets))
    for rows in (m, n):
        drawn = metric._drawn(rows, side, torch.Generator().manual_seed(0))
        assert [len(part) for part in drawn] == [size] * side
        assert all(len(part.unique()) == size for part in drawn)
        counts = torch.bincount(torch.cat(drawn[: rows // size]), minlength=rows)
        assert int(counts.max()) == 1  # while whole subsets are left, no row comes twice


def test_subsets_are_averaged_over_all_their_pairs() -> None:
    x, y = normal(40, 4), 1.2 * normal(45, 4, seed=1)
    metric = fed(SubsetKernelDistance(subsets=7, subset_size=10), x, y)
    x, y = (rows[canonical_order(rows)] for rows in (x, y))
    generator = generator_of(0, "kid")
    reals, fakes = (metric._drawn(len(rows), 3, generator) for rows in (x, y))
    pairs = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]
    each = [by_double_loop(x[reals[i]], y[fakes[j]], PolynomialKernel()) for i, j in pairs]
    assert float(metric.compute()) == pytest.approx(sum(each) / 7, rel=1e-10)


def test_sums_know_the_unbiased_estimate() -> None:
    """Two points on each side, by hand: k(0, 1) = 1, k(2, 3) = 7³, cross terms 1, 1, 3³, 4³."""
    x, y = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[2.0], [3.0]]).double()
    wanted = 1 + 7**3 - (1 + 1 + 3**3 + 4**3) / 2
    assert float(mmd_squared(kernel_sums(x, y, PolynomialKernel()))) == pytest.approx(wanted, rel=1e-12)
