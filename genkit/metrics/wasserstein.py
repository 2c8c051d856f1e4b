r"""The exact 2-Wasserstein distance of two point sets of equal size: an optimal assignment.

.. math:: W_2^2(x, y) = \min_\pi \frac1s \sum_i |x_i - y_{\pi(i)}|^2

over permutations π, solved exactly in O(s³) (Jonker & Volgenant 1987). So the sets are cut into disjoint seeded subsets
of s points, and the mean of W₂² over them is reported as its root. The distance between s points of the same
distribution is of the order s^(−1/D), not 0: the value means nothing without its floor, and little beyond a few
dimensions.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.data.kinds import Modality
from genkit.metrics.distances import squared_distances
from genkit.metrics.interval import Z
from genkit.metrics.pair_metric import PairMetric
from genkit.noise import generator_of


def squared_wasserstein(x: Tensor, y: Tensor) -> Tensor:
    """W₂² () of two sets (s, D), float64."""
    from scipy.optimize import linear_sum_assignment  # half a second to import

    centre = x.mean(0)
    cost = squared_distances(x - centre, y - centre)
    i, j = linear_sum_assignment(cost.numpy())
    return (x[torch.from_numpy(i)] - y[torch.from_numpy(j)]).square().sum(1).mean()


class Wasserstein(PairMetric):
    """W₂ of the raw values by optimal assignment, in their units.

    References:
        A Shortest Augmenting Path Algorithm for Dense and Sparse Linear Assignment Problems
        (Jonker & Volgenant, Computing 1987).

    Args:
        points: s, the size of a subset; a smaller set is taken whole.
        subsets: How many disjoint subsets at most.
        seed: Of the subsets.
    """

    sources: ClassVar[tuple[str, str]] = ("real", "fake")
    modalities: ClassVar[tuple[Modality, ...]] = ("vector",)
    uses_features: ClassVar[bool] = False
    units: ClassVar[str] = "x"

    def __init__(
        self,
        points: Annotated[int, Range(2, 20000)] = 1000,
        subsets: PositiveInt = 5,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.points, self.subsets, self.seed = points, subsets, seed

    def compute(self) -> Tensor:
        """() ≥ 0. Raises as `rows`."""
        return self.once(self._costs).mean().sqrt()

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """Of the mean W₂² over the subsets, as roots; None for a single subset."""
        costs = self.once(self._costs)
        if len(costs) < 2:
            return None
        mean, half = float(costs.mean()), Z * float(costs.std()) / len(costs) ** 0.5
        return max(mean - half, 0.0) ** 0.5, (mean + half) ** 0.5

    def params(self) -> dict[str, Any]:
        return {"order": 2, "points": self.points, "subsets": self.subsets, "seed": self.seed}

    def findings(self) -> dict[str, Any]:
        return {"subsets used": len(self.once(self._costs))}

    def _costs(self, real: Tensor, fake: Tensor) -> Tensor:
        """(subsets,): W₂² of each pair of subsets."""
        size = min(self.points, len(real), len(fake))
        count = min(self.subsets, min(len(real), len(fake)) // size)
        pairs = zip(*(self._parts(rows, side, size) for rows, side in ((real, "real"), (fake, "fake"))), strict=False)
        return torch.stack([squared_wasserstein(x, y) for _, (x, y) in zip(range(count), pairs, strict=False)])

    def _parts(self, rows: Tensor, side: str, size: int) -> tuple[Tensor, ...]:
        order = torch.randperm(len(rows), generator=generator_of(self.seed, "assignment", side))
        return rows[order].split(size)
