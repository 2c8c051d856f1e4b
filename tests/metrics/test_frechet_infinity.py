"""FID-infinity: an exact line, white Gaussians whose distance is known, and refusals."""

import pytest
import torch
from scipy.stats import linregress
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics.base import Probe
from genkit.metrics.frechet import frechet_distance, weighted_distances
from genkit.metrics.frechet_error import FrechetError
from genkit.metrics.frechet_infinity import FrechetInfinity, fitted_line
from genkit.metrics.interval import Z
from genkit.metrics.moments import Moments


def randn(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scored(real: Tensor, fake: Tensor, smallest: int = 5000) -> FrechetInfinity:
    metric = FrechetInfinity(smallest=smallest)
    metric.update(Probe(DataSpec((2,), "vector"), {"real_features": lambda: real, "fake_features": lambda: fake}))
    return metric


def test_an_exact_line_is_found() -> None:
    sizes = torch.tensor([100, 200, 400, 900])
    line = fitted_line(sizes, 0.7 + 30.0 / sizes.double())
    assert line.intercept == pytest.approx(0.7, rel=1e-12)
    assert line.slope == pytest.approx(30.0, rel=1e-12)
    assert line.error == pytest.approx(0.0, abs=1e-12)
    assert line.r2 == pytest.approx(1.0)


def test_the_error_of_the_intercept_is_that_of_least_squares() -> None:
    sizes, noise = torch.tensor([100, 150, 200, 400, 900]), randn(5, 1, 3)[:, 0]
    distances = 0.7 + 30.0 / sizes.double() + 0.01 * noise
    line, other = fitted_line(sizes, distances), linregress(1 / sizes.double(), distances)
    assert (line.intercept, line.error) == pytest.approx((other.intercept, other.intercept_stderr), rel=1e-9)
    assert line.r2 == pytest.approx(other.rvalue**2, rel=1e-9)


def test_the_interval_is_of_the_line_and_of_the_samples() -> None:
    real, fake = randn(400, 2, 0), 1.2 * randn(400, 2, 1)
    metric = scored(real, fake, smallest=40)
    low, high = metric.interval(20, 0)
    error = FrechetError.of(*metric.rows())
    assert error is not None
    spread, line = error.sd, metric.line()
    assert ((high - low) / 2) ** 2 == pytest.approx(Z**2 * (spread**2 + line.error**2), rel=1e-9)
    assert line.error > 0.01 * spread


def test_a_subset_s_distance_is_that_of_its_rows() -> None:
    real, fake = randn(60, 4, 0), 1.3 * randn(50, 4, 1)
    keep = torch.arange(50) % 3 == 0
    [distance] = weighted_distances(real, fake, [keep.double()])
    a, b = Moments.of(real), Moments.of(fake[keep])
    assert float(distance) == pytest.approx(
        float(frechet_distance(a.mean, a.covariance, b.mean, b.covariance)), rel=1e-10
    )


def test_white_gaussians_keep_the_bias_of_the_reference_alone() -> None:
    """N(0, I) against N(0, 1.21 I) in 64 dimensions: 0.64, plus 0.055 from 20,000 reference rows."""
    metric = scored(randn(20_000, 64, 0), 1.1 * randn(20_000, 64, 1))
    assert float(metric.compute()) == pytest.approx(0.64 + 0.055, abs=0.03)
    assert metric.findings()["slope"] > 0
    low, high = metric.interval(10, 0)
    assert low < float(metric.compute()) < high


def test_few_samples_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs 256 samples"):
        scored(randn(300, 64, 0), randn(200, 64, 1)).compute()
