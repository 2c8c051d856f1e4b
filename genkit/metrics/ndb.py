r"""The number of statistically different bins (Richardson & Weiss 2018).

k-means cuts the space into K cells by the reference alone. In each cell the share p of the reference and the share q of
the samples are compared by a two-proportion z-test,

.. math:: z = \frac{p - q}{\sqrt{r (1 - r) (1/m + 1/n)}}, \qquad r = \frac{mp + nq}{m + n},

and the value is the share of cells with |z| > 1.96. Equal distributions have about 0.05 (fewer where cells hold few
rows); a mode that the samples miss, or crowd, shows as a cell of its own.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from genkit.component import NonNegativeInt, PositiveInt
from genkit.errors import ConfigError
from genkit.metrics.distances import nearest_squared, squared_distances
from genkit.metrics.interval import Z, wilson_interval
from genkit.metrics.pair_metric import PairMetric
from genkit.noise import generator_of

ITERATIONS = 50


def nearest_centre(rows: Tensor, centres: Tensor) -> Tensor:
    """(n,) int64: the nearest of the centres (K, D) of each row (n, D)."""
    return nearest_squared(rows, centres)[1][:, 0]


def spread_start(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """K rows, each chosen with probability ∝ the squared distance to those before (Arthur & Vassilvitskii 2007)."""
    chosen = rows[torch.randint(len(rows), (1,), generator=generator)]
    d2 = squared_distances(rows, chosen)[:, 0]
    for _ in range(count - 1):
        weights = d2 if bool(d2.sum() > 0) else torch.ones_like(d2)
        new = rows[torch.multinomial(weights, 1, generator=generator)]
        chosen, d2 = torch.cat([chosen, new]), torch.minimum(d2, squared_distances(rows, new)[:, 0])
    return chosen


def k_means(rows: Tensor, count: int, seed: int) -> Tensor:
    """Centres (K, D) of rows (m, D), float64, by Lloyd's iteration; a cell that empties keeps its centre."""
    centres = spread_start(rows, count, generator_of(seed, "k-means"))
    for _ in range(ITERATIONS):
        cell = nearest_centre(rows, centres)
        sizes = torch.bincount(cell, minlength=count).to(rows.dtype)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, cell, rows)
        moved = torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def z_scores(left: Tensor, right: Tensor) -> Tensor:
    """(K,): the two-proportion z of each cell, from counts (K,); 0 for a cell that neither side reaches."""
    m, n = left.sum(), right.sum()
    pooled = (left + right) / (m + n)
    error = (pooled * (1 - pooled) * (1 / m + 1 / n)).sqrt()
    return torch.where(error > 0, (left / m - right / n) / error.clamp(min=1e-300), 0.0)


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """The divergence in nats of two distributions (K,); at most log 2."""
    mean = (p + q) / 2
    parts = (torch.special.xlogy(s, s) - torch.special.xlogy(s, mean.clamp(min=1e-300)) for s in (p, q))
    return max(0.0, float(sum(part.sum() for part in parts)) / 2)


class DifferentBins(PairMetric):
    """NDB/K: the share of cells in which samples and reference differ at the 5 % level.

    References:
        On GANs and GMMs (Richardson & Weiss, 2018), 1805.12462.

    Args:
        bins: K, the number of cells.
        seed: Of the k-means start.
    """

    divergence: ClassVar[bool] = False

    def __init__(self, bins: PositiveInt = 100, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        self.bins, self.seed = bins, seed

    def compute(self) -> Tensor:
        """() in [0, 1]. Raises ConfigError for fewer reference rows than bins."""
        return (z_scores(*self.once(self._counts)).abs() > Z).to(torch.float64).mean()

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return wilson_interval(round(float(self.compute()) * self.bins), self.bins)

    def params(self) -> dict[str, Any]:
        return {"bins": self.bins, "seed": self.seed}

    def findings(self) -> dict[str, Any]:
        real, fake = self.once(self._counts)
        return {"jensen_shannon": jensen_shannon(real / real.sum(), fake / fake.sum())}

    def _counts(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Counts of real and of fake rows in each cell, (K,) float64 each."""
        if len(real) < self.bins:
            raise ConfigError(f"bins={self.bins} of {len(real)} reference examples: lower metric.ndb.bins")
        centre = real.mean(0)
        real, fake = real - centre, fake - centre
        centres = k_means(real, self.bins, self.seed)
        left, right = (torch.bincount(nearest_centre(rows, centres), minlength=self.bins) for rows in (real, fake))
        return left.to(torch.float64), right.to(torch.float64)
