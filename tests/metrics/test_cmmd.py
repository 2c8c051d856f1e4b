"""CMMD's arithmetic: the direct double sum, two points by hand, blindness to length, the interval."""

import math

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.metrics.base import Probe
from genkit.metrics.cmmd import EmbeddingDiscrepancy


def scored(real: Tensor, fake: Tensor, bandwidth: float = 10.0) -> EmbeddingDiscrepancy:
    metric = EmbeddingDiscrepancy(bandwidth)
    metric.update(Probe(DataSpec((2,), "vector"), {"real_features": lambda: real, "fake_features": lambda: fake}))
    return metric


def randn(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def direct(x: Tensor, y: Tensor, bandwidth: float) -> float:
    x, y = (rows / rows.norm(dim=1, keepdim=True) for rows in (x, y))
    kernel = lambda a, b: torch.exp(-torch.cdist(a, b).square() / (2 * bandwidth**2)).mean()  # noqa: E731
    return 1000 * float(kernel(x, x) + kernel(y, y) - 2 * kernel(x, y))


def test_it_is_the_mean_over_all_pairs() -> None:
    x, y = randn(40, 6, 0), randn(30, 6, 1) + 0.4
    assert float(scored(x, y, 0.8).compute()) == pytest.approx(direct(x, y, 0.8), rel=1e-9)


def test_opposite_points_by_hand() -> None:
    """All real rows at e, all fake at −e: |x − y|² = 4, so 1000 (2 − 2 exp(−4/200))."""
    e = torch.tensor([[1.0, 0.0]]).double().repeat(5, 1)
    assert float(scored(e, -3 * e).compute()) == pytest.approx(2000 * (1 - math.exp(-0.02)), rel=1e-9)


def test_equal_sets_and_other_lengths_score_zero() -> None:
    x = randn(20, 4, 0)
    assert float(scored(x, 7 * x).compute()) == pytest.approx(0.0, abs=1e-9)


def test_interval_has_the_spread_of_fresh_samples() -> None:
    x = randn(250, 3, 0)
    fresh = torch.stack([scored(x, randn(150, 3, i) + 0.5, 0.8).compute() for i in range(1, 41)])
    low, high = scored(x, randn(150, 3, 50) + 0.5, 0.8).interval(0, 0)
    assert (high - low) / (2 * 1.96) == pytest.approx(float(fresh.std()), rel=0.4)
