r"""Errors of reconstructions.

.. math:: MSE = \frac{1}{nD} \sum |x - \hat x|^2, \qquad PSNR = 10 \log_{10} \frac{peak^2}{MSE}

in model units. `peak` is the distance of the smallest from the largest stored value as the model sees them, 255 of 256
levels for 8-bit images: the same PSNR as from the stored values. It is of the error over all examples; a mean of
per-image PSNRs is larger, and infinite as soon as one image is perfect.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from genkit.data.kinds import Modality
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics.base import Probe, Requirement
from genkit.metrics.distances import as_rows
from genkit.metrics.mean import ExampleMean


class MeanSquaredError(ExampleMean):
    """Mean squared error of the reconstruction per value, in model units."""

    requires: ClassVar[tuple[Requirement, ...]] = ("real", "reconstruction")
    units: ClassVar[str] = "x²"

    def per_example(self, probe: Probe) -> Tensor:
        return (as_rows(probe["real"]) - as_rows(probe["reconstruction"])).square().mean(1)


class PeakSignalToNoise(ExampleMean):
    """Peak signal-to-noise ratio of the reconstruction in decibels; infinite where all are perfect."""

    requires: ClassVar[tuple[Requirement, ...]] = ("real", "reconstruction")
    modalities: ClassVar[tuple[Modality, ...]] = ("image",)
    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]
    units: ClassVar[str] = "dB"
    divergence: ClassVar[bool] = False

    def per_example(self, probe: Probe) -> Tensor:
        """(B,): squared error over peak², of which `compute` takes the mean before the logarithm."""
        error = (as_rows(probe["real"]) - as_rows(probe["reconstruction"])).square().mean(1)
        return error / peak_of(probe.spec) ** 2

    def compute(self) -> Tensor:
        """()."""
        return _decibels(self.examples().mean())

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """The interval of the mean squared error, in decibels."""
        ends = super().interval(repeats, seed)
        if ends is None:
            return None
        high, low = (float(_decibels(torch.tensor(max(end, 0.0), dtype=torch.float64))) for end in ends)
        return low, high

    def params(self) -> dict[str, Any]:
        return {"mean": "of squared errors"}


def peak_of(spec: DataSpec) -> float:
    """The distance of the smallest from the largest value that data can hold. Raises ConfigError for unbounded data."""
    if spec.kind.span is None:
        raise ConfigError("PSNR needs data with a value range: use metric=mse")
    return spec.kind.span


def _decibels(relative_error: Tensor) -> Tensor:
    return -10.0 * relative_error.log10()
