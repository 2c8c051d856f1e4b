"""Nats, bits per dimension and the gap to the truth."""

import math

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.distributions import bits_per_dim
from genkit.errors import ConfigError, NumericalError
from genkit.metrics.base import Probe
from genkit.metrics.likelihood import IWAE, BitsPerDim, LogLikelihoodGap, LowerBound, NegativeLogLikelihood
from genkit.metrics.mean import ExampleMean

DIGITS = DataSpec((1, 8, 8), "image", (-1.0, 1.0), 17, 10)


def fed(metric: ExampleMean, spec: DataSpec = DIGITS, **quantities: Tensor) -> ExampleMean:
    metric.update(Probe(spec, {name: lambda x=x: x for name, x in quantities.items()}))
    return metric


def gaussian(mean: float, std: float) -> torch.distributions.Normal:
    return torch.distributions.Normal(*torch.tensor([mean, std], dtype=torch.float64))


def normal(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0), (0.0, 17.0)])
def test_a_uniform_model_of_digits_needs_log2_17_bits(value_range: tuple[float, float]) -> None:
    lo, hi = value_range
    spec = DataSpec((1, 8, 8), "image", value_range, 17)
    log_prob = torch.full((5,), -64 * math.log(hi - lo), dtype=torch.float64)
    assert float(fed(BitsPerDim(), spec, log_prob=log_prob).compute()) == pytest.approx(math.log2(17), abs=1e-12)


def test_bits_do_not_depend_on_the_scale_of_the_values() -> None:
    """A Gaussian of 8-bit data, scaled with it to three ranges."""
    v = 128 + 30 * normal(1000)
    for lo, hi in ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)):
        width = (hi - lo) / 256
        density = gaussian(lo + 128 * width, 30 * width)
        bits = bits_per_dim(-density.log_prob(lo + v * width), 1, 256, (lo, hi)).mean()
        wanted = -gaussian(128.0, 30.0).log_prob(v).mean() / math.log(2)
        assert float(bits) == pytest.approx(float(wanted), abs=1e-9)


def test_offsets_of_the_usual_ranges() -> None:
    assert bits_per_dim(0.0, 10, 256, (0.0, 1.0)) == 8.0
    assert bits_per_dim(0.0, 10, 256, (-1.0, 1.0)) == 7.0
    assert bits_per_dim(10 * math.log(2), 10, 256, (-1.0, 1.0)) == 8.0


def test_gap_is_the_divergence_with_the_error_of_paired_differences() -> None:
    """KL(N(0, 1) ‖ N(m, 1)) = m²/2; on given points log p − log q = m²/2 − m x, whose standard deviation is m."""
    x, m = normal(20000), 0.1
    truth, log_prob = (gaussian(mean, 1.0).log_prob(x) for mean in (0.0, m))
    gap = fed(LogLikelihoodGap(), truth=truth, log_prob=log_prob)
    low, high = gap.interval(50, 0) or (0.0, 0.0)
    assert (high - low) / (2 * 1.96) == pytest.approx(m / math.sqrt(20000), rel=0.05)
    assert float(gap.compute()) == pytest.approx(m**2 / 2 - m * float(x.mean()), abs=1e-12)
    assert low < float(gap.compute()) < high
    assert float(fed(LogLikelihoodGap(), truth=truth, log_prob=truth).compute()) == 0.0


def test_nats_and_their_error() -> None:
    log_prob = normal(400) - 3.0
    metric = fed(NegativeLogLikelihood(), log_prob=log_prob)
    assert float(metric.compute()) == pytest.approx(-float(log_prob.mean()), abs=1e-12)
    low, high = metric.interval(50, 0) or (0.0, 0.0)
    assert (high - low) / 2 == pytest.approx(1.96 * float(log_prob.std()) / 20, rel=1e-3)


@pytest.mark.parametrize("spec", [DIGITS, DataSpec((3,), "vector")], ids=["levels", "continuous"])
def test_bounds_are_nats_of_the_stored_values(spec: DataSpec) -> None:
    """Of a uniform model of the digits: 64 ln 17; continuous data has its density."""
    log_prob = torch.full((4,), -64 * math.log(2.0), dtype=torch.float64)
    wanted = 64 * math.log(17) if spec.levels else 64 * math.log(2)

    def importance(k: int) -> Tensor:
        return log_prob + math.log(k)

    quantities = {"log_prob": lambda: log_prob, "importance": importance}
    for metric, gain in ((LowerBound(), 0.0), (IWAE(k=1), 0.0), (IWAE(k=8), math.log(8))):
        metric.update(Probe(spec, quantities))
        assert float(metric.compute()) == pytest.approx(wanted - gain, abs=1e-12)


def test_a_quantity_with_arguments_is_computed_once_for_each() -> None:
    asked: list[int] = []

    def importance(k: int) -> Tensor:
        asked.append(k)
        return torch.tensor([float(k)])

    probe = Probe(DIGITS, {"importance": importance})
    assert [float(probe.ask("importance", k)) for k in (2, 3, 2)] == [2.0, 3.0, 2.0]
    assert asked == [2, 3]


def test_values_are_summed_in_double_precision() -> None:
    log_prob = torch.full((3,), -1e8) + torch.tensor([0.0, 8.0, 16.0])
    assert float(fed(NegativeLogLikelihood(), log_prob=log_prob).compute()) == 1e8 - 8.0


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match="discrete levels"):
        fed(BitsPerDim(), DataSpec((2,), "vector"), log_prob=normal(3)).compute()
    with pytest.raises(ConfigError, match="at least 1 example, got 0"):
        fed(NegativeLogLikelihood(), real=normal(3)).compute()
    with pytest.raises(NumericalError, match="example 1 is NaN"):
        fed(NegativeLogLikelihood(), log_prob=torch.tensor([0.0, math.nan])).compute()
