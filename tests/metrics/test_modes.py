"""Modes of a ring of eight Gaussians: a perfect model, a collapsed one, and what lies between."""

import math

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics.base import Probe
from genkit.metrics.modes import HighQuality, ModeCoverage, ModeImbalance, ModeMetric, quality_ceiling

ANGLES = torch.arange(8) * (math.pi / 4)
CENTRES = 2.0 * torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
STD = 0.1


def score(kind: type[ModeMetric], fake: Tensor, sigmas: float = 3.0) -> float:
    return float(metric_of(kind, fake, sigmas).compute())


def metric_of(kind: type[ModeMetric], fake: Tensor, sigmas: float = 3.0) -> ModeMetric:
    metric = kind(sigmas)
    quantities = {"fake": lambda: fake, "centres": lambda: CENTRES, "std": lambda: torch.tensor(STD)}
    metric.update(Probe(DataSpec((2,), "vector"), quantities))
    return metric


def ring(n: int, modes: int = 8) -> Tensor:
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    return CENTRES[torch.arange(n) % modes] + STD * noise


def test_a_perfect_model_reaches_all_modes_and_the_ceiling() -> None:
    n, ceiling = 20000, 1 - math.exp(-4.5)
    x = ring(n)
    assert score(ModeCoverage, x) == 8
    assert score(HighQuality, x) == pytest.approx(ceiling, abs=3 * math.sqrt(ceiling * (1 - ceiling) / n))
    assert score(ModeImbalance, x) < 5 * 7 / (2 * n)
    assert metric_of(HighQuality, x).findings()["ceiling"] == pytest.approx(0.98889, abs=1e-5)


def test_a_collapsed_model_reaches_one() -> None:
    x = ring(500, modes=1)
    assert score(ModeCoverage, x) == 1
    assert score(ModeImbalance, x) == pytest.approx(math.log(8), abs=1e-12)


def test_points_between_modes_count_for_none() -> None:
    x = torch.cat([CENTRES[:3], torch.zeros(5, 2)])
    assert score(ModeCoverage, x) == 3
    assert score(HighQuality, x) == 3 / 8
    assert score(ModeImbalance, torch.zeros(5, 2)) == math.inf


def test_the_rim_lies_at_sigmas_standard_deviations() -> None:
    x = CENTRES[:1] + torch.tensor([[2.9 * STD, 0.0], [0.0, 3.1 * STD]])
    assert score(HighQuality, x) == 0.5
    assert score(HighQuality, x, sigmas=3.2) == 1.0


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_ceiling_is_the_share_of_a_gaussian(dim: int) -> None:
    x = torch.randn(40000, dim, generator=torch.Generator().manual_seed(1))
    assert quality_ceiling(dim, 2.0) == pytest.approx(float((x.norm(dim=1) < 2.0).double().mean()), abs=0.01)


def test_interval_is_wilson_s() -> None:
    """7 of 10: (0.3968, 0.8922), as in tables of the Wilson interval."""
    x = torch.cat([CENTRES[:7], torch.zeros(3, 2)])
    assert metric_of(HighQuality, x).interval(50, 0) == pytest.approx((0.3968, 0.8922), abs=1e-4)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("kind", [ModeCoverage, HighQuality, ModeImbalance])
def test_no_samples_are_refused(kind: type[ModeMetric]) -> None:
    with pytest.raises(ConfigError, match="at least 1 fake sample, got 0"):
        kind().compute()
