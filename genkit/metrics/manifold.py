r"""Precision, recall, density and coverage: the support of a distribution estimated by balls around its points.

The ball of a point reaches to its k-th nearest neighbour in its own set. With m real points x and n fake points y,

.. math::
    \text{precision} &= \tfrac1n \#\{ j : y_j \text{ in the ball of some } x_i \}, \\
    \text{recall} &= \tfrac1m \#\{ i : x_i \text{ in the ball of some } y_j \}, \\
    \text{density} &= \tfrac{1}{kn} \#\{ (i, j) : y_j \text{ in the ball of } x_i \}, \\
    \text{coverage} &= \tfrac1m \#\{ i : \text{the ball of } x_i \text{ holds some } y_j \}.

Precision and recall (Kynkäänniemi et al. 2019) trust every ball, so one outlier's huge ball can make all fakes precise;
density and coverage (Naeem et al. 2020) do not. For the same distribution on both sides density is 1 on average and
coverage 1 − 2⁻ᵏ.

Who is on the rim? Precision, recall and coverage take balls as closed (`<=`): sets of equal points then score 1, not 0.
Density takes them as open (`<`), as its authors do: a ball of a copied set then holds its k points (the centre and
k − 1 more), and a copy has density 1, not 1 + 1/k, where no two distances tie. A ball whose k-th neighbour is its
centre over again is empty: where more than k points of a set are equal, their share is missing, and sets of equal
points have density 0. Distances are float64, centred, taken in blocks; what is on the rim up to rounding is on it
(`closer`, `as_close` of `genkit.metrics.distances`).

The two counts are part of the score: where m is five times n, even fresh data fills no more than about half of the real
balls. Both papers compare equal counts; `equal` does that by leaving out points of the larger set.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from genkit.component import PositiveInt
from genkit.errors import ConfigError
from genkit.metrics.distances import as_close, closer, comparable_distances, nearest_distances, tiles
from genkit.metrics.interval import normal_interval, wilson_interval
from genkit.metrics.manifold_error import (
    Halves,
    given_variance,
    halves_of_balls,
    halves_of_points,
    mean_variance,
    share_variance,
)
from genkit.metrics.pair_metric import PairMetric
from genkit.noise import generator_of

PRECISION_K = 3  # of precision and recall (Kynkäänniemi et al. 2019)
COVERAGE_K = 5  # of density and coverage (Naeem et al. 2020)


def squared_radii(points: Tensor, k: int) -> Tensor:
    """(n,): the squared distance from each of the points (n, D) to its k-th nearest other point.

    Raises ConfigError unless k < n.
    """
    if k >= len(points):
        raise ConfigError(f"k={k} neighbours of {len(points):,} points: k must be smaller; raise n= or lower k")
    return nearest_distances(points, points, k + 1)[:, k]  # the nearest of all is the point itself, at 0


class Membership(NamedTuple):
    """The points that lie in balls, and the balls that hold points.

    Attributes:
        point_in_some: (n,) bool: the point is in some closed ball.
        open_balls: (n,) int64: how many open balls hold the point.
        ball_holds_some: (m,) bool: the closed ball holds some point.
    """

    point_in_some: Tensor
    open_balls: Tensor
    ball_holds_some: Tensor


def membership(centres: Tensor, radii2: Tensor, points: Tensor) -> Membership:
    """The membership of points (n, D) in balls with centres (m, D) and squared radii (m,)."""
    held = torch.zeros(len(centres), dtype=torch.bool, device=centres.device)
    in_some = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    in_open = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    for part, tile in tiles(len(points), len(centres)):
        d2 = comparable_distances(points[part], centres[tile])
        closed = as_close(d2, radii2[tile])
        in_some[part] |= closed.any(1)
        in_open[part] += closer(d2, radii2[tile]).sum(1)
        held[tile] |= closed.any(0)
    return Membership(in_some, in_open, held)


def equally_many(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets, of the larger one as many rows as the smaller has, chosen by chance, the same ones each time."""
    n = min(len(real), len(fake))
    some = [
        rows if len(rows) == n else rows[torch.randperm(len(rows), generator=generator_of(0, "equal", side))[:n]]
        for side, rows in (("real", real), ("fake", fake))
    ]
    return some[0], some[1]


class Neighbours:
    """Two sets and what was found out about their balls, each once.

    Args:
        real: (m, D) float64.
        fake: (n, D) float64.
        held: The batches that the sets were put together from, kept alive as long as this is.
    """

    def __init__(self, real: Tensor, fake: Tensor, held: tuple[Tensor, ...] = ()) -> None:
        centre = real.mean(0)
        self.real, self.fake, self.held = real - centre, fake - centre, held
        self._found: dict[tuple[bool, int], Membership] = {}
        self._halves: dict[tuple[bool, int], Halves] = {}

    def of_real_balls(self, k: int) -> Membership:
        """Fakes (n,) in the balls (m,) of the reals."""
        return self._membership(True, k)

    def of_fake_balls(self, k: int) -> Membership:
        """Reals (m,) in the balls (n,) of the fakes."""
        return self._membership(False, k)

    def _membership(self, balls_are_real: bool, k: int) -> Membership:
        key = (balls_are_real, k)
        if key not in self._found:
            centres, points = (self.real, self.fake) if balls_are_real else (self.fake, self.real)
            self._found[key] = membership(centres, squared_radii(centres, k), points)
        return self._found[key]

    def halves(self, balls_are_real: bool, k: int) -> Halves:
        """The scores of halves of the side that the balls stand on."""
        key = (balls_are_real, k)
        if key not in self._halves:
            centres, points = (self.real, self.fake) if balls_are_real else (self.fake, self.real)
            self._halves[key] = halves_of_balls(centres, points, k)
        return self._halves[key]

    def filling(self, k: int) -> Tensor:
        """(SPLITS, 2): the share of real balls that halves of the fakes fill."""
        return halves_of_points(self.real, squared_radii(self.real, k), self.fake)


# Metrics that were given the same batches share one Neighbours. The key is the batches' identity, which cannot be
# reused while the value lives, because the value holds the batches; the entry goes with the last metric that uses it.
_SHARED: WeakValueDictionary[tuple[int, ...], Neighbours] = WeakValueDictionary()


class ManifoldMetric(PairMetric, ABC):
    """A score from balls of k nearest neighbours.

    Args:
        k: Which neighbour a ball reaches to.
        equal: Whether as many points of the larger set are taken, by chance, as the smaller one has.
    """

    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]
    divergence: ClassVar[bool] = False

    def __init__(self, k: PositiveInt, equal: bool = False) -> None:
        super().__init__()
        self.k, self.equal = k, equal

    def params(self) -> dict[str, Any]:
        return {"k": self.k, "balls": "closed"} | ({"counts": "equal"} if self.equal else {})

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return self._around(self.variances()[0])

    def redrawn_interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return self._around(self.variances()[1])

    def too_few(self, counts: Mapping[str, int], dim: int | None) -> str | None:
        """No interval where half of a side has no k-th neighbour of its own: balls then reach the farthest point."""
        few = [f"{n:,} {what}" for what, n in counts.items() if n <= 2 * self.k]
        return f"{' and '.join(few)} for {self.k} nearest neighbours: too few for an interval" if few else None

    @abstractmethod
    def variances(self) -> tuple[float, float]:
        """The variance of the score over draws of the samples, and over draws of both sides."""

    def _around(self, variance: float) -> tuple[float, float]:
        return normal_interval(float(self.compute()), variance**0.5, least=0.0)

    def neighbours(self) -> Neighbours:
        """The joint findings of all metrics with these batches. Raises as `rows`."""
        return self.once(self._shared)

    def _shared(self, real: Tensor, fake: Tensor) -> Neighbours:
        left, right = self.pieces("real"), self.pieces("fake")
        key = (self.equal, len(left), *map(id, left), *map(id, right))
        found = _SHARED.get(key)
        if found is None:
            if self.equal:
                real, fake = equally_many(real, fake)
            found = _SHARED[key] = Neighbours(real, fake, held=(*left, *right))
        return found


class ManifoldShare(ManifoldMetric, ABC):
    """A share of points that meet a condition.

    Its interval is Wilson's, for as many independent points as would have the variance of `manifold_error.py`.
    """

    def compute(self) -> Tensor:
        """() in [0, 1]. Raises ConfigError unless both sets have more than k points."""
        return self.met().to(torch.float64).mean()

    @abstractmethod
    def met(self) -> Tensor:
        """(n,) or (m,) bool: which of the counted points meet the condition."""

    @property
    def share(self) -> float:
        return float(self.compute())

    def counted_variance(self) -> float:
        """p (1 − p) over the number of points that are counted."""
        met = self.met().to(torch.float64)
        return float(met.mean() * (1.0 - met.mean())) / len(met)

    def _around(self, variance: float) -> tuple[float, float]:
        spread = self.share * (1.0 - self.share)
        independent = spread / variance if variance > 0.0 and spread > 0.0 else float(len(self.met()))
        low, high = wilson_interval(self.share * independent, independent)
        return min(low, self.share), max(high, self.share)  # rounding leaves 1 out


class Precision(ManifoldShare):
    """Share of fakes inside the ball of some real point.

    References:
        Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019), 1904.06991.
    """

    def __init__(self, k: PositiveInt = PRECISION_K, equal: bool = False) -> None:
        super().__init__(k, equal)

    def met(self) -> Tensor:
        return self.neighbours().of_real_balls(self.k).point_in_some

    def variances(self) -> tuple[float, float]:
        balls = self.neighbours().halves(True, self.k).points_held
        return self.counted_variance(), self.counted_variance() + share_variance(balls, self.share)


class Recall(ManifoldShare):
    """Share of reals inside the ball of some fake point.

    References:
        Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019), 1904.06991.
    """

    def __init__(self, k: PositiveInt = PRECISION_K, equal: bool = False) -> None:
        super().__init__(k, equal)

    def met(self) -> Tensor:
        return self.neighbours().of_fake_balls(self.k).point_in_some

    def variances(self) -> tuple[float, float]:
        balls = self.neighbours().halves(False, self.k).points_held
        drawn = share_variance(balls, self.share)
        redrawn = self.counted_variance() + drawn
        return (drawn * redrawn) ** 0.5, redrawn  # for given points between both, as measured: they lie in clumps


class NeighbourDensity(ManifoldMetric):
    """Mean over the fakes of how many real balls hold them, over k; 1 on average for the same distribution.

    References:
        Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020), 2002.09797.
    """

    def __init__(self, k: PositiveInt = COVERAGE_K, equal: bool = False) -> None:
        super().__init__(k, equal)

    def compute(self) -> Tensor:
        """() ≥ 0, may exceed 1. Raises ConfigError unless both sets have more than k points."""
        return self._counts().mean()

    def variances(self) -> tuple[float, float]:
        counts = self._counts()
        points = float(counts.var()) / len(counts)
        return points, points + mean_variance(self.neighbours().halves(True, self.k).density)

    def params(self) -> dict[str, Any]:
        return super().params() | {"balls": "open"}

    def _counts(self) -> Tensor:
        return self.neighbours().of_real_balls(self.k).open_balls.to(torch.float64) / self.k


class Coverage(ManifoldShare):
    """Share of reals whose ball holds some fake point.

    References:
        Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020), 2002.09797.
    """

    def __init__(self, k: PositiveInt = COVERAGE_K, equal: bool = False) -> None:
        super().__init__(k, equal)

    def met(self) -> Tensor:
        return self.neighbours().of_real_balls(self.k).ball_holds_some

    def variances(self) -> tuple[float, float]:
        found = self.neighbours()
        balls, points = found.halves(True, self.k).balls_filled, found.filling(self.k)
        given = given_variance(points, self.share)
        return given, max(given, share_variance(points, self.share) + share_variance(balls, self.share))
