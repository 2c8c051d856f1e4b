r"""Principal components of the reference as features: f = (v − m) A, v the values in [0, 1], A the leading axes.

Fitted on the reference alone, so that what samples are measured along does not depend on them. Scores of axes are not
rescaled: a Fréchet distance of all axes is that of the pixels, and fewer axes leave out what varies least.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from genkit.component import PositiveInt
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.features.base import FeatureExtractor, RealData, unit_range
from genkit.metrics.moments import Moments


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
        other, moments = type(self)(self.components), Moments.over(real.coordinates())
        other.mean = moments.mean
        other.axes = torch.linalg.eigh(moments.covariance).eigenvectors.flip(1)[:, : self.dim(real.spec)]
        return other

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        if self.mean is None or self.axes is None:
            raise ConfigError("principal components are fitted on a reference first, see `fitted`")
        return (unit_range(x.cpu(), spec).flatten(1) - self.mean) @ self.axes
