r"""The sliced Wasserstein distance: optimal transport in one dimension, averaged over directions (Bonneel et al. 2015).

In one dimension the optimal plan matches quantiles,

.. math:: W_2^2(x, y) = \int_0^1 (F_x^{-1}(u) - F_y^{-1}(u))^2 \, du,

for n and m points a finite sum over the union of the grids {i/n} and {j/m}, exact for any n and m. Over directions θ on
the unit sphere

.. math:: SW_2(x, y) = \left( \mathbb{E}_θ\, W_2^2(x \cdot θ, y \cdot θ) \right)^{1/2},

here the mean over a fixed set of seeded directions, so that two models are measured along the same ones. A shift by v
costs |v|/√D.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from genkit.component import NonNegativeInt, PositiveInt
from genkit.data.kinds import Modality
from genkit.metrics.distances import blocks
from genkit.metrics.interval import normal_interval, resamples
from genkit.metrics.pair_metric import PairMetric
from genkit.noise import generator_of

BOOTSTRAP_DIRECTIONS = 100  # the spread over samples needs fewer directions than the value


class SortedPairs(NamedTuple):
    """The quantile matching of n and m sorted points: pairs (i, j), (P,) int64, and their mass (P,), summing to 1."""

    i: Tensor
    j: Tensor
    mass: Tensor

    @classmethod
    def between(cls, n: int, m: int) -> SortedPairs:
        """In units of 1/(nm), so that no breakpoint suffers rounding."""
        ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
        lengths = torch.diff(ends, prepend=torch.zeros(1, dtype=ends.dtype))
        return cls((ends - 1) // m, (ends - 1) // n, lengths.to(torch.float64) / (n * m))

    def cost(self, x: Tensor, y: Tensor) -> Tensor:
        """W₂² (L,) of sorted x (L, n) and sorted y (L, m)."""
        return (x[:, self.i] - y[:, self.j]).square() @ self.mass


def directions(count: int, dim: int, seed: int) -> Tensor:
    """(count, dim) float64 unit vectors, uniform on the sphere; a function of the arguments alone."""
    vectors = torch.randn(count, dim, generator=generator_of(seed, "directions", dim), dtype=torch.float64)
    return vectors / vectors.norm(dim=1, keepdim=True)


def sliced_wasserstein(x: Tensor, y: Tensor, thetas: Tensor) -> Tensor:
    """SW₂ () of points x (n, D) and y (m, D), float64, along the directions `thetas` (L, D)."""
    coupling = SortedPairs.between(len(x), len(y))
    costs = [coupling.cost(*(project(points, part) for points in (x, y))) for part in _parts(thetas, len(x) + len(y))]
    return torch.cat(costs).mean().sqrt()


def project(points: Tensor, thetas: Tensor) -> Tensor:
    """(L, n): the points (n, D) along each of the directions (L, D), sorted."""
    return (thetas @ points.T).sort(dim=1).values


def bootstrap_distances(x: Tensor, y: Tensor, thetas: Tensor, repeats: int, seed: int) -> Tensor:
    """SW₂ (repeats,) of x to resamples of y; the points are sorted once, a resample repeats sorted points in place."""
    coupling = SortedPairs.between(len(x), len(y))
    totals = torch.zeros(repeats, dtype=torch.float64)
    for part in _parts(thetas, len(x) + len(y)):
        real, (fake, order) = project(x, part), (part @ y.T).sort(dim=1)
        for r, counts in enumerate(resamples(len(y), repeats, seed)):
            drawn = fake.flatten().repeat_interleave(counts[order].flatten()).view_as(fake)
            totals[r] += coupling.cost(real, drawn).sum()
    return (totals / len(thetas)).sqrt()


class SlicedWasserstein(PairMetric):
    """SW₂ of the raw values, in their units.

    References:
        Sliced and Radon Wasserstein Barycenters of Measures (Bonneel et al., JMIV 2015).

    Args:
        projections: How many directions.
        seed: Of the directions.
    """

    sources: ClassVar[tuple[str, str]] = ("real", "fake")
    modalities: ClassVar[tuple[Modality, ...]] = ("vector",)
    uses_features: ClassVar[bool] = False
    units: ClassVar[str] = "x"

    def __init__(self, projections: PositiveInt = 1000, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        self.projections, self.seed = projections, seed

    def compute(self) -> Tensor:
        """() ≥ 0. Raises as `rows`."""
        real, fake = self.rows()
        return sliced_wasserstein(real, fake, directions(self.projections, real.shape[1], self.seed))

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """Value ± 1.96 bootstrap standard deviations over the fakes, along the first 100 directions."""
        spread = self._spread(*self.rows(), repeats, seed)
        return None if spread is None else normal_interval(float(self.compute()), spread, least=0.0)

    def redrawn_interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """With the standard deviation over resamples of the reference."""
        real, fake = self.rows()
        ours, theirs = self._spread(real, fake, repeats, seed), self._spread(fake, real, repeats, seed)
        if ours is None or theirs is None:
            return None
        return normal_interval(float(self.compute()), (ours**2 + theirs**2) ** 0.5, least=0.0)

    def _spread(self, fixed: Tensor, drawn: Tensor, repeats: int, seed: int) -> float | None:
        """The standard deviation over resamples of one side; None for fewer than two."""
        thetas = directions(self.projections, fixed.shape[1], self.seed)[:BOOTSTRAP_DIRECTIONS]
        distances = bootstrap_distances(fixed, drawn, thetas, repeats, seed)
        return float(distances.std()) if len(distances) > 1 else None

    def params(self) -> dict[str, Any]:
        return {"order": 2, "projections": self.projections, "seed": self.seed}


def _parts(thetas: Tensor, points: int) -> Iterator[Tensor]:
    return (thetas[part] for part in blocks(len(thetas), points))
