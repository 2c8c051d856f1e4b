r"""The energy distance of two sets of points (Székely & Rizzo 2013).

.. math:: E(x, y) = 2\, \mathbb{E}|x - y| - \mathbb{E}|x - x'| - \mathbb{E}|y - y'| \ge 0,

zero for equal distributions alone. It is an MMD with the kernel −|x − y|: no bandwidth to choose. The plain estimate
takes means over all pairs, a point with itself included, and is never negative; the unbiased one leaves those out and
may be. (`scipy.stats.energy_distance` is the square root of the plain one in one dimension.)
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from genkit.data.kinds import Modality
from genkit.metrics.discrepancy_error import DiscrepancyError
from genkit.metrics.distances import blocks
from genkit.metrics.pair_metric import PairMetric


class DistanceSums(NamedTuple):
    """The sums that the estimate needs.

    Attributes:
        real: () sum of |x_i − x_j|.     fake, cross: (n,) per y_j the sums of |y_i − y_j| and of |x_i − y_j| over i.
        m: number of real rows.
    """

    real: Tensor
    fake: Tensor
    cross: Tensor
    m: int

    @classmethod
    def of(cls, real: Tensor, fake: Tensor) -> DistanceSums:
        """Add up distances of real rows (m, D) and fake rows (n, D), float64, block by block."""
        return cls(_sums(real, real).sum(), _sums(fake, fake), _sums(fake, real), len(real))


def energy(sums: DistanceSums, own: int) -> Tensor:
    """The distance (); `own` is 0 where a point's distance to itself counts, 1 where it does not."""
    m, n = sums.m, len(sums.fake)
    within = sums.real / (m * (m - own)) + sums.fake.sum() / (n * (n - own))
    return 2.0 * sums.cross.sum() / (m * n) - within


class EnergyDistance(PairMetric):
    """The energy distance of the raw values, in their units.

    References:
        Energy Statistics: A Class of Statistics Based on Distances (Székely & Rizzo, JSPI 2013).

    Args:
        unbiased: Whether a point's distance to itself is left out; the value may then be negative.
    """

    sources: ClassVar[tuple[str, str]] = ("real", "fake")
    modalities: ClassVar[tuple[Modality, ...]] = ("vector",)
    uses_features: ClassVar[bool] = False
    units: ClassVar[str] = "x"
    least: ClassVar[int] = 3

    def __init__(self, unbiased: bool = False) -> None:
        super().__init__()
        self.unbiased = unbiased

    def compute(self) -> Tensor:
        """(). Raises as `rows`."""
        return energy(self.once(DistanceSums.of), int(self.unbiased))

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return self._error().interval(float(self.compute()), -float("inf") if self.unbiased else 0.0)

    def redrawn_interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return self._error().redrawn_interval(float(self.compute()), -float("inf") if self.unbiased else 0.0)

    def _error(self) -> DiscrepancyError:
        return DiscrepancyError.of(*self.rows(), lambda x, y: -_distances(x, y))

    def params(self) -> dict[str, Any]:
        return {"estimator": "unbiased" if self.unbiased else "plain"}


def _sums(x: Tensor, y: Tensor) -> Tensor:
    """(n,): per row of x (n, D) the sum of its distances to the rows of y (m, D); differences, not products."""
    sums = x.new_empty(len(x))
    for part in blocks(len(x), len(y)):
        sums[part] = _distances(x[part], y).sum(1)
    return sums


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """(n, m), by differences: a product's rounding would be that of the squares."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
