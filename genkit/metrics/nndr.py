r"""The test for copies: are samples nearer to single training examples than fresh data is?

Nearness alone is no evidence. Samples of little variety, or smoothed ones, lie closer to all data than data does. A
copy is near to **one** example and as far from the next as everything is, so what is compared is the nearest neighbour
distance ratio

.. math:: ρ(x) = d_1(x) / d_2(x) \in [0, 1]

of the distances from x to the nearest and the second nearest example of the training set T: 0 for a copy, near 1 for a
point among others, at any scale. Samples x are compared with held-out data h by the Mann–Whitney statistic of ρ
(Mann & Whitney 1947), which needs no law of ρ:

.. math:: z = \left( P(ρ_x > ρ_h) - \tfrac12 \right)
              \Big/ \sqrt{\frac{n' + m' + 1}{12\, n' m'}}.

Samples that share a nearest example are not independent, most of all those of a collapsed model, so n' and m' are
effective numbers, (Σ c)² / Σ c² over how many samples c each example is nearest to. Fresh data has mean 0 and a
standard deviation of at most 1; below −4 it comes by chance once in 30,000 times.

The ratio: Lowe (2004), for matching; Carlini et al. (2023, 2301.13188) use one to find training images in the output of
diffusion models, and it is a common privacy score of synthetic tables (NNDR).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genkit.data.order import canonical_order
from genkit.errors import ConfigError
from genkit.metrics.copying import TrainingTest
from genkit.metrics.distances import nearest_squared

COPIED = -4.0
NAMED = 5  # pairs in a warning
LISTED = 20  # pairs among the findings
TIED = 1e-9  # ratios that differ by less are equal


class NearestExamples(NamedTuple):
    """The nearest training examples of some rows, and the ratio of the distances to the first two.

    Attributes:
        ratio: (n,) ρ; 0 where the second nearest example is at distance 0 too.
        which: (n,) int64: the nearest example.     distance: (n,) to it.
    """

    ratio: Tensor
    which: Tensor
    distance: Tensor

    @classmethod
    def of(cls, rows: Tensor, train: Tensor) -> NearestExamples:
        """Look rows (n, D) up in training rows (m, D), both centred, m ≥ 2."""
        d2, which = nearest_squared(rows, train, 2)
        first, second = d2.sqrt().unbind(1)
        ratio = torch.where(second > 0.0, first / second.clamp(min=1e-300), 0.0)
        return cls((ratio / TIED).round() * TIED, which[:, 0], first)

    @property
    def effective(self) -> float:
        """The number of independent rows that these are worth."""
        counts = self.which.bincount().to(torch.float64)
        return float(counts.sum().square() / counts.square().sum())


def z_of_ratios(samples: NearestExamples, held_out: NearestExamples) -> float:
    """z of the samples' ratios against those of held-out data; ties count half."""
    ordered, n, m = held_out.ratio.sort().values, samples.effective, held_out.effective
    below, upto = (torch.searchsorted(ordered, samples.ratio, right=side) for side in (False, True))
    larger = float((below + upto).to(torch.float64).mean()) / (2 * len(ordered))
    return (larger - 0.5) / ((n + m + 1.0) / (12.0 * n * m)) ** 0.5


class DistanceRatio(TrainingTest):
    """z of the samples' nearest neighbour distance ratios against those of held-out data; below −4, copies.

    References:
        Extracting Training Data from Diffusion Models (Carlini et al., 2023), 2301.13188.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: tuple[list[Tensor], tuple[NearestExamples, NearestExamples, Tensor, Tensor]] | None = None

    def compute(self) -> Tensor:
        """(). Raises ConfigError for fewer than two training rows."""
        return torch.tensor(z_of_ratios(*self._found()[:2]), dtype=torch.float64)

    def findings(self) -> dict[str, Any]:
        """The pairs of a sample and a training example with the smallest ratios: [sample, example, distance, ρ]."""
        samples, held_out, rows, examples = self._found()
        order = (samples.ratio + samples.distance / (1e12 * (1.0 + float(samples.distance.max())))).argsort(stable=True)
        pairs = [
            [int(rows[i]), int(examples[samples.which[i]]), float(samples.distance[i]), float(samples.ratio[i])]
            for i in order[:LISTED].tolist()
        ]
        effective = [round(samples.effective), round(held_out.effective)]
        return {"train": len(examples), "effective": effective, "fresh data": 0, "pairs": pairs}

    def warnings(self, value: float, floor: float | None) -> Iterator[str]:
        """Yield nothing: the caller names the training rows and knows them."""
        return iter(())

    def _found(self) -> tuple[NearestExamples, NearestExamples, Tensor, Tensor]:
        """Of the samples and of the held-out data, and where samples and training rows stood as they came, (n,), (m,).

        Rows are looked at in canonical order, so that ties are decided alike in any given order.
        """
        names = ("seen", "fake", "real")
        held = [piece for name in names for piece in self.pieces(name)]
        if self._known is None or list(map(id, self._known[0])) != list(map(id, held)):
            joined = [torch.cat(self._checked(name)) for name in names]
            orders = [canonical_order(rows) for rows in joined]
            train, fake, real = (rows[order] for rows, order in zip(joined, orders, strict=True))
            if train.shape[1] != real.shape[1]:
                raise ConfigError("DistanceRatio: training rows need as many columns as the samples")
            centre = train.mean(0)
            samples, fresh = (NearestExamples.of(rows - centre, train - centre) for rows in (fake, real))
            self._known = held, (samples, fresh, orders[1], orders[0])
        return self._known[1]
