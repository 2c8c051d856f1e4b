r"""The structural similarity of reconstructions (Wang et al. 2004).

.. math:: SSIM = \overline{\frac{(2 μ_x μ_y + c_1)(2 σ_{xy} + c_2)}{(μ_x^2 + μ_y^2 + c_1)(σ_x^2 + σ_y^2 + c_2)}},
          \qquad c_1 = (0.01\, peak)^2, \; c_2 = (0.03\, peak)^2

with means μ and variances σ² of the pixels in a window, averaged over the windows that lie inside the image (a border
filled in by reflection, as torchmetrics has it, counts pixels that nobody drew). Pixels count from black, which is 0,
to white, the peak: the first factor is made for means of one sign, not for the model's [−1, 1). Windows are Gaussian of
11 pixels (σ = 1.5) where an image is that large, else uniform of 7: different scales, so the record says which it was.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from genkit.data.kinds import Modality
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics.base import Probe, Requirement
from genkit.metrics.mean import ExampleMean
from genkit.metrics.reconstruction import peak_of

GAUSSIAN, UNIFORM = 11, 7
SIGMA = 1.5
C1, C2 = 0.01, 0.03


class StructuralSimilarity(ExampleMean):
    """The mean SSIM of reconstructions and originals; 1 where they are equal.

    References:
        Image Quality Assessment: From Error Visibility to Structural Similarity (Wang et al., IEEE TIP 2004).
    """

    requires: ClassVar[tuple[Requirement, ...]] = ("real", "reconstruction")
    modalities: ClassVar[tuple[Modality, ...]] = ("image",)
    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]
    divergence: ClassVar[bool] = False

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("window", default=torch.tensor(0), dist_reduce_fx="max")

    def per_example(self, probe: Probe) -> Tensor:
        self.window = torch.tensor(window_of(probe.spec))
        return similarity(probe["reconstruction"], probe["real"], probe.spec)

    def params(self) -> dict[str, Any]:
        window = int(self.window)
        return {"window": window, "weights": "gaussian" if window == GAUSSIAN else "uniform"}


def window_of(spec: DataSpec) -> int:
    """The window's width in pixels. Raises ConfigError for images smaller than the smaller window."""
    side = min(spec.shape[1:])
    if side < UNIFORM:
        raise ConfigError(f"SSIM needs images of {UNIFORM} pixels or more, these have {side}: use metric=psnr")
    return GAUSSIAN if side >= GAUSSIAN else UNIFORM


def window_weights(spec: DataSpec) -> Tensor:
    """(w, w) float64, summing to 1."""
    width = window_of(spec)
    places = torch.arange(width, dtype=torch.float64) - width // 2
    line = torch.exp(-places.square() / (2 * SIGMA**2)) if width == GAUSSIAN else torch.ones_like(places)
    square = torch.outer(line, line)
    return square / square.sum()


def above_black(x: Tensor, spec: DataSpec) -> Tensor:
    """Model values as differences from the smallest stored one: 0 for black, `peak_of` for white."""
    assert spec.value_range is not None  # else there is no peak either
    return x - spec.value_range[0] - spec.kind.margin / 2


def similarity(x: Tensor, y: Tensor, spec: DataSpec) -> Tensor:
    """(B,): the SSIM of images x and y (B, C, H, W) in model units."""
    x, y = (above_black(values.to(torch.float64), spec) for values in (x, y))
    weights = window_weights(spec)[None, None]

    def local(v: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(v.flatten(0, 1)[:, None], weights).view(len(v), -1)

    c1, c2 = ((c * peak_of(spec)) ** 2 for c in (C1, C2))
    mean_x, mean_y = local(x), local(y)
    product, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    covariance, variances = local(x * y) - product, local(x.square() + y.square()) - squares
    return ((2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))).mean(1)
