r"""The Fréchet distance at infinitely many samples (Chong & Forsyth 2020).

The distance of n samples is biased by about b/n. Here it is measured at several n, on random subsets of the samples,
and the line a + b/n is fitted by least squares; a is the value. That takes away the bias of the samples alone: the
reference has a finite number of examples too, and its share of the bias stays, as it does in the floor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.errors import ConfigError
from genkit.metrics.frechet import weighted_distances
from genkit.metrics.frechet_error import FrechetError, too_few
from genkit.metrics.interval import normal_interval
from genkit.metrics.pair_metric import PairMetric
from genkit.noise import generator_of

Points = Annotated[int, Range(3, 1000)]


class Line(NamedTuple):
    """a + b/n through measured distances: its intercept a, that one's standard error, b, and R²."""

    intercept: float
    error: float
    slope: float
    r2: float


def fitted_line(sizes: Tensor, distances: Tensor) -> Line:
    """Ordinary least squares of distances (P,) on 1/sizes (P,), P ≥ 3."""
    u = 1.0 / sizes.to(torch.float64)
    du, dy = u - u.mean(), distances - distances.mean()
    slope = (du @ dy) / (du @ du)
    intercept = distances.mean() - slope * u.mean()
    residual = (dy - slope * du).square().sum()
    error = (residual / (len(u) - 2) * (1 / len(u) + u.mean().square() / (du @ du))).sqrt()
    total = dy.square().sum()
    return Line(float(intercept), float(error), float(slope), float(1 - residual / total) if total > 0 else 1.0)


class FrechetInfinity(PairMetric):
    """The Fréchet distance of features, extrapolated to infinitely many samples.

    References:
        Effectively Unbiased FID and Inception Score and Where to Find Them (Chong & Forsyth, 2020), 1911.07023.

    Args:
        points: At how many n the distance is measured, evenly spaced from the smallest to all samples.
        smallest: The smallest n; at least a tenth of the samples are taken, and more rows than feature dimensions.
        seed: Of the subsets.
    """

    units: ClassVar[str] = "feature²"

    def __init__(self, points: Points = 15, smallest: PositiveInt = 5000, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        self.points, self.smallest, self.seed = points, smallest, seed

    def compute(self) -> Tensor:
        """(), may be negative. Raises ConfigError for fewer than four samples per feature dimension."""
        return torch.tensor(self.line().intercept, dtype=torch.float64)

    def line(self) -> Line:
        """The distances on 1/n."""
        return self.once(self._found)[0]

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """The error of the intercept and that of the distance at all samples, added in squares.

        The error of the intercept alone says how straight the line is, not what other samples would have given.
        """
        return self._around(lambda error: error.sd)

    def redrawn_interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        return self._around(lambda error: error.redrawn_sd)

    def too_few(self, counts: Mapping[str, int], dim: int | None) -> str | None:
        return None if dim is None else too_few(counts, dim)

    def _around(self, sd: Callable[[FrechetError], float]) -> tuple[float, float] | None:
        line, error = self.once(self._found)
        return None if error is None else normal_interval(line.intercept, (line.error**2 + sd(error) ** 2) ** 0.5)

    def params(self) -> dict[str, Any]:
        return {"points": self.points, "smallest": self.smallest, "seed": self.seed}

    def findings(self) -> dict[str, Any]:
        line = self.line()
        return {"slope": line.slope, "r2": line.r2}

    def _found(self, real: Tensor, fake: Tensor) -> tuple[Line, FrechetError | None]:
        return self._line(real, fake), FrechetError.of(real, fake)

    def _line(self, real: Tensor, fake: Tensor) -> Line:
        n, dim = fake.shape
        least = max(n // 10, 2 * dim)
        if n < 2 * least:
            raise ConfigError(
                f"FID-infinity in {dim} feature dimensions needs {4 * dim:,} samples, got {n:,}: raise n="
            )
        sizes = torch.linspace(max(least, min(self.smallest, n // 2)), n, self.points, dtype=torch.float64).long()
        return fitted_line(sizes, weighted_distances(real, fake, [self._subset(n, int(size)) for size in sizes]))

    def _subset(self, n: int, size: int) -> Tensor:
        """(n,): 1 for `size` rows drawn without replacement, 0 for the others."""
        order = torch.randperm(n, generator=generator_of(self.seed, "subset", n, size))
        return torch.zeros(n).index_fill_(0, order[:size], 1.0)
