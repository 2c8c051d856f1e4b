r"""The row that every table should have: what a trivial model reaches.

A pixel Gaussian: x ~ N(m, S), mean and covariance of the training split, rounded and clipped to the data's levels. A
model that does not beat it has learned nothing that two moments do not say.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.data.dataset import Dataset
from genkit.data.spec import DataSpec
from genkit.noise import generator_of


def moments(v: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and a factor R (D, D) of the covariance R Rᵀ of stored values (N, *shape), float64.

    By an eigendecomposition, since pixels that never change make the covariance singular.
    """
    rows = v.flatten(1).to(torch.float64)
    mean = rows.mean(0)
    variances, directions = torch.linalg.eigh(torch.cov(rows.T))
    return mean, directions * variances.clamp(min=0).sqrt()


def to_levels(v: Tensor, spec: DataSpec) -> Tensor:
    """Real numbers (n, *shape) to stored values: rounded and clipped, or float32 where the data is continuous."""
    if spec.levels is None:
        return v.to(torch.float32)
    return v.round().clamp(0, spec.levels - 1).to(torch.uint8 if spec.levels <= 256 else torch.int64)


def pixel_gaussian(dataset: Dataset, n: int, seed: int) -> Tensor:
    """n seeded draws (n, *shape), stored values, of the Gaussian fitted to the training split."""
    mean, factor = moments(dataset.split("train").x)
    noise = torch.randn(n, len(mean), generator=generator_of(seed, "pixel gaussian"), dtype=torch.float64)
    return to_levels((mean + noise @ factor.T).unflatten(1, dataset.spec.shape), dataset.spec)
