r"""Principal components of the reference as features: f = (v − m) A, v the values in [0, 1], A the leading axes.

Fitted on the reference alone, so that what samples are measured along does not depend on them. Scores of axes are not
rescaled: a Fréchet distance of all axes is that of the pixels, and fewer axes leave out what varies least.

The reference is read in chunks. Of up to 4,096 values the axes are those of the covariance. Of more, whose covariance
would take gigabytes, they are found by subspace iteration from a seeded start: each pass multiplies a few more
directions than are asked for by the covariance, and the last one takes the axes within them (Halko et al. 2011,
0909.4061).
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from genkit.component import PositiveInt
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.features.base import FeatureExtractor, RealData, unit_range
from genkit.metrics.moments import Moments, mean_and_variance
from genkit.noise import generator_of

EXACT = 4096  # values up to which the covariance is formed
MORE, PASSES = 10, 8  # directions beyond those that are asked for, and passes over the reference


class PrincipalComponents(FeatureExtractor):
    """The leading principal components of the reference.

    Args:
        components: How many; fewer where the data has fewer dimensions.
    """

    normalize = "none"

    def __init__(self, components: PositiveInt = 50) -> None:
        self.components = components
        self.name, self.id = "pca", f"pca/{components}"
        self.mean: Tensor | None = None
        self.axes: Tensor | None = None

    def accepts(self, spec: DataSpec) -> bool:
        return True

    def dim(self, spec: DataSpec) -> int:
        return min(self.components, spec.dim)

    def fitted(self, real: RealData) -> Self:
        """Raises ConfigError for a reference of fewer than two examples."""
        if len(real.reference) < 2:
            raise ConfigError("features=pca needs two reference examples or more")
        other, count = type(self)(self.components), self.dim(real.spec)
        if real.spec.dim <= EXACT:
            moments = Moments.over(real.coordinates())
            other.mean, other.axes = moments.mean, _eigenvectors(moments.covariance, count)
        else:
            other.mean, _ = mean_and_variance(real.coordinates())
            other.axes = leading_axes(real, other.mean, count)
        return other

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        if self.mean is None or self.axes is None:
            raise ConfigError("principal components are fitted on a reference first, see `fitted`")
        return (unit_range(x.cpu(), spec).flatten(1) - self.mean) @ self.axes


def leading_axes(real: RealData, mean: Tensor, count: int) -> Tensor:
    """The leading principal axes (D, count) of the reference with this mean, by subspace iteration."""
    dim = len(mean)
    start = torch.randn(dim, min(dim, count + MORE), generator=generator_of(0, "pca"), dtype=torch.float64)
    axes = torch.linalg.qr(start).Q
    for _ in range(PASSES - 1):
        axes = torch.linalg.qr(_scattered(real, mean, axes)).Q
    within = axes.T @ _scattered(real, mean, axes)
    return axes @ _eigenvectors((within + within.T) / 2, count)


def _scattered(real: RealData, mean: Tensor, axes: Tensor) -> Tensor:
    """The sum of centred outer products of the reference, times axes (D, k)."""
    product = torch.zeros_like(axes)
    for rows in real.coordinates():
        centred = rows - mean
        product += centred.T @ (centred @ axes)
    return product


def _eigenvectors(symmetric: Tensor, count: int) -> Tensor:
    """Those of the largest eigenvalues, the largest first: (D, count)."""
    return torch.linalg.eigh(symmetric).eigenvectors.flip(1)[:, :count]
