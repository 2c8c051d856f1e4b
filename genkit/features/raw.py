"""The values themselves as features."""

from copy import copy
from typing import Self

import torch
from torch import Tensor

from genkit.data.kinds import KINDS, Categorical
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.features.base import MOST_COORDINATES, FeatureExtractor, RealData, coordinates_of, unit_range
from genkit.metrics.moments import mean_and_variance

DEAD = 1e-2  # units whose standard deviation is below this fraction of the median one are left out


class RawFeatures(FeatureExtractor):
    """The flattened values themselves, one-hot where they are tokens.

    Discrete data has one unit for all its values, so a pixel that hardly varies in the reference is divided by no less
    than 1 % of the largest standard deviation; a constant value of continuous data is only centred.

    Args:
        normalize: "std": standardised by the mean and standard deviation of the reference. "none": as they are; float64
            input stays float64.
    """

    modalities = ("image", "vector", "sequence")
    kinds = KINDS
    name = "raw"

    def __init__(self, normalize: str = "std") -> None:
        if normalize not in ("std", "none"):
            raise ConfigError(f"features.normalize={normalize}: it is std or none")
        self.normalize, self.id = normalize, f"raw/{normalize}"
        self.mean = torch.zeros((), dtype=torch.float64)
        self.sd: Tensor | None = None

    def accepts(self, spec: DataSpec) -> bool:
        return self.dim(spec) <= MOST_COORDINATES or not isinstance(spec.kind, Categorical)

    def dim(self, spec: DataSpec) -> int:
        return coordinates_of(spec)

    def fitted(self, real: RealData) -> Self:
        if self.normalize == "none":
            return self
        other = copy(self)
        other.mean, variance = mean_and_variance(real.coordinates())
        sd = variance.sqrt()
        sd = sd.clamp(min=DEAD * float(sd.max())) if real.spec.kind.has_mass else sd
        other.sd = torch.where(sd > 0, sd, 1.0)
        return other

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        values = unit_range(x.cpu(), spec).flatten(1)
        if self.normalize == "none":
            return values
        if self.sd is None:
            raise ConfigError("raw features with normalize=std are fitted on a reference first, see `fitted`")
        return (values - self.mean) / self.sd
