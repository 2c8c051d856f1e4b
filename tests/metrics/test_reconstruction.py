"""Reconstruction errors in model units and in decibels of the stored values."""

import math

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics.base import Probe
from genkit.metrics.mean import ExampleMean
from genkit.metrics.reconstruction import MeanSquaredError, PeakSignalToNoise, peak_of

SPEC = DataSpec((1, 4, 4), "image", (-1.0, 1.0), 256)


def fed(metric: ExampleMean, real: Tensor, reconstruction: Tensor, spec: DataSpec = SPEC) -> ExampleMean:
    metric.update(Probe(spec, {"real": lambda: real, "reconstruction": lambda: reconstruction}))
    return metric


def stored(seed: int) -> Tensor:
    return torch.randint(0, 256, (20, 1, 4, 4), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def test_psnr_is_that_of_the_stored_values() -> None:
    v, w = stored(0), stored(1)
    wanted = 20 * math.log10(255) - 10 * math.log10(float((v.double() - w.double()).square().mean()))
    assert float(fed(PeakSignalToNoise(), SPEC.scale(v), SPEC.scale(w)).compute()) == pytest.approx(wanted, abs=1e-5)


def test_errors_of_a_constant_offset() -> None:
    x = torch.zeros(3, 1, 4, 4)
    assert float(fed(MeanSquaredError(), x, x + 0.5).compute()) == pytest.approx(0.25)
    assert float(fed(PeakSignalToNoise(), x, x).compute()) == math.inf


def test_ten_times_the_error_is_twenty_decibels() -> None:
    x, error = torch.zeros(3, 1, 4, 4), 0.01 * torch.ones(3, 1, 4, 4)
    near, far = (float(fed(PeakSignalToNoise(), x, x + e).compute()) for e in (error, 10 * error))
    assert near - far == pytest.approx(20.0, abs=1e-5)


def test_interval_holds_the_value() -> None:
    metric = fed(PeakSignalToNoise(), SPEC.scale(stored(0)), SPEC.scale(stored(1)))
    low, high = metric.interval(50, 0) or (0.0, 0.0)
    assert low < float(metric.compute()) < high


def test_peak_is_between_extreme_stored_values() -> None:
    assert peak_of(SPEC) == pytest.approx(2 * 255 / 256)
    assert peak_of(DataSpec((1, 4, 4), "image", (0.0, 1.0))) == 1.0
    with pytest.raises(ConfigError, match="value range"):
        peak_of(DataSpec((1, 4, 4), "image"))
