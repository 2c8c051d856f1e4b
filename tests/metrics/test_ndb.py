"""Different bins: 5 % of them by chance, an emptied one for sure, and k-means that finds what is there."""

from math import sqrt

import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import norm
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics.base import Probe
from genkit.metrics.ndb import DifferentBins, jensen_shannon, k_means, nearest_centre, z_scores


def randn(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scored(real: Tensor, fake: Tensor, bins: int) -> DifferentBins:
    metric = DifferentBins(bins)
    metric.update(Probe(DataSpec((2,), "vector"), {"real_features": lambda: real, "fake_features": lambda: fake}))
    return metric


def test_equal_distributions_differ_in_one_of_twenty_bins() -> None:
    shares = [float(scored(randn(2000, 2, 2 * i), randn(2000, 2, 2 * i + 1), 50).compute()) for i in range(8)]
    error = (0.05 * 0.95 / (50 * 8)) ** 0.5
    assert sum(shares) / 8 == pytest.approx(0.05, abs=3 * error)


def test_an_emptied_bin_is_seen() -> None:
    centres = 10.0 * torch.eye(10, dtype=torch.float64)
    real, fake = (centres.repeat(100, 1) + 0.1 * randn(1000, 10, seed) for seed in (0, 1))
    full, without = scored(real, fake, 10), scored(real, fake[torch.arange(1000) % 10 != 3], 10)
    assert float(full.compute()) == 0.0
    assert full.findings()["jensen_shannon"] == 0.0
    assert float(without.compute()) >= 0.1
    assert without.findings()["jensen_shannon"] > 0.01


def test_k_means_finds_separate_groups_and_repeats() -> None:
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]]).double()
    rows = centres.repeat(50, 1) + 0.1 * randn(200, 2, 0)
    found = k_means(rows, 4, 0)
    assert torch.equal(found, k_means(rows, 4, 0))
    gaps = torch.cdist(centres, found).min(1).values
    assert float(gaps.max()) < 0.1
    assert nearest_centre(rows, found).unique().numel() == 4


def test_z_is_the_two_proportion_test() -> None:
    """30 of 100 against 45 of 100: z = −0.15 / sqrt(0.375 · 0.625 · 0.02)."""
    z = z_scores(torch.tensor([30.0, 70.0, 0.0]).double(), torch.tensor([45.0, 55.0, 0.0]).double())
    assert float(z[0]) == pytest.approx(-0.15 / (0.375 * 0.625 * 0.02) ** 0.5)
    assert float(z[1]) == pytest.approx(-float(z[0]))
    assert float(z[2]) == 0.0


@pytest.mark.parametrize(("left", "share"), [(50, 0.0), (37, 0.0), (36, 1.0)])
def test_a_bin_differs_at_the_five_percent_level(left: int, share: float) -> None:
    """50 and 50 against 37 and 63: |z| = 1.85; against 36 and 64: 2.00."""
    real, fake = (torch.tensor([0.0] * n + [10.0] * (100 - n)).double()[:, None] for n in (50, left))
    assert float(scored(real, fake, 2).compute()) == share


def test_jensen_shannon_of_disjoint_distributions_is_log_two() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0, 0.0]).double(), torch.tensor([0.0, 0.0, 0.3, 0.7]).double()
    assert jensen_shannon(p, q) == pytest.approx(0.6931471805599453)
    assert jensen_shannon(p, p) == 0.0


def test_equal_points_are_binned_too() -> None:
    points = torch.zeros(20, 2, dtype=torch.float64)
    assert float(scored(points, points, 5).compute()) == 0.0


def test_more_bins_than_examples_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"metric\.ndb\.bins"):
        scored(randn(20, 2, 0), randn(20, 2, 1), 50).compute()


def test_counts_of_separate_groups_are_compared_as_in_the_paper() -> None:
    """Richardson & Weiss: the two-sided p-value of pooled proportions, below 0.05, as a share of the cells.

    Groups so far apart that the cells are the groups, so the counts are known.
    """
    real, fake = [100, 80, 60, 40, 20, 300], [70, 80, 90, 41, 4, 215]
    m, n = sum(real), sum(fake)
    pooled = [(a + b) / (m + n) for a, b in zip(real, fake, strict=True)]
    z = [(a / m - b / n) / sqrt(p * (1 - p) * (1 / m + 1 / n)) for a, b, p in zip(real, fake, pooled, strict=True)]
    different = [2 * norm.sf(abs(score)) < 0.05 for score in z]
    assert different == [False, False, True, False, True, True]
    centres = 50.0 * torch.eye(6, dtype=torch.float64)
    rows = [
        centres.repeat_interleave(torch.tensor(counts), 0) + 0.01 * randn(sum(counts), 6, sum(counts))
        for counts in (real, fake)
    ]
    metric = scored(*rows, bins=6)
    assert float(metric.compute()) == pytest.approx(sum(different) / 6)
    shares = [[count / sum(counts) for count in counts] for counts in (real, fake)]
    assert metric.findings()["jensen_shannon"] == pytest.approx(jensenshannon(*shares) ** 2, rel=1e-9)
    low, high = metric.interval(0, 0)
    assert low < sum(different) / 6 < high
