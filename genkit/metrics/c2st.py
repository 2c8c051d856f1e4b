r"""The classifier two-sample test (Lopez-Paz & Oquab 2017): can a classifier tell samples from data?

Equal numbers of real and fake rows are put in folds; for each fold a classifier is fitted to the others and asked about
this one. The value is the share of right answers: 1/2 where it can tell nothing, 1 where it can tell all. A weak
classifier reads 1/2 too, so the value is a lower bound of what can be told; the floor is that of real against real.

* `NeighbourTest`: the vote of the k nearest rows, which sees any difference of densities. Rows that are equally near as
  the k-th share the votes that are left among them.
* `LogisticTest`: a linear classifier, which sees a difference of means. For two normals of variance 1 whose means are d
  apart it reaches Φ(d/2).

Columns are standardised by the rows that the classifier is fitted to. Nothing is random but the seeded folds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from genkit.component import NonNegativeInt, PositiveFloat, PositiveInt, Range
from genkit.metrics.distances import as_close, closer, comparable_distances, nearest_distances, tiles
from genkit.metrics.interval import wilson_interval
from genkit.metrics.pair_metric import PairMetric
from genkit.noise import generator_of

Folds = Annotated[int, Range(2, 100)]
FOLDS = 5
NEWTON_STEPS = 25


class ClassifierTest(PairMetric, ABC):
    """The cross-validated accuracy of a classifier of real against fake features."""

    divergence: ClassVar[bool] = False
    least: ClassVar[int] = 10

    def __init__(self, folds: Folds, seed: NonNegativeInt) -> None:
        super().__init__()
        self.folds, self.seed = folds, seed

    @abstractmethod
    def score(self, x: Tensor, y: Tensor, asked: Tensor) -> Tensor:
        """Fitted to standardised rows x (n, D) with labels y (n,) in {0, 1}: scores (a,) of `asked` (a, D).

        Above 0 means 1.
        """

    def compute(self) -> Tensor:
        """() in [0, 1]. Raises as `rows`."""
        return self.once(self._right).mean()

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        right = self.once(self._right)
        return wilson_interval(round(float(right.sum())), len(right))

    def redrawn_interval(self, repeats: int, seed: int) -> tuple[float, float]:
        """The same: the answers are about rows of both sides."""
        return self.interval(repeats, seed)

    def params(self) -> dict[str, Any]:
        return {"folds": self.folds, "seed": self.seed}

    def findings(self) -> dict[str, Any]:
        return {"rows": len(self.once(self._right))}

    def _right(self, real: Tensor, fake: Tensor) -> Tensor:
        """(2n,): 1 per row whose label was told, 0 where not, 1/2 where the classifier was undecided."""
        n = min(len(real), len(fake))
        x = torch.cat([self._shuffled(real, "real")[:n], self._shuffled(fake, "fake")[:n]])
        y = torch.arange(2 * n) // n
        fold = torch.arange(2 * n) % n % self.folds
        return torch.cat([self._told(x, y, fold == held) for held in range(self.folds)])

    def _told(self, x: Tensor, y: Tensor, held: Tensor) -> Tensor:
        mean, sd = x[~held].mean(0), x[~held].std(0)
        x = (x - mean) / torch.where(sd > 0, sd, 1.0)
        signs = self.score(x[~held], y[~held], x[held]).sign()
        return 0.5 + 0.5 * signs * (2 * y[held] - 1)

    def _shuffled(self, rows: Tensor, side: str) -> Tensor:
        return rows[torch.randperm(len(rows), generator=generator_of(self.seed, "two sample", side))]


class NeighbourTest(ClassifierTest):
    """The two-sample test with the vote of the k nearest neighbours.

    References:
        Revisiting Classifier Two-Sample Tests (Lopez-Paz & Oquab, 2017), 1610.06545.

    Args:
        k: Neighbours that vote; an odd number leaves no draw, unless several rows are the k-th nearest.
        folds: Of the cross-validation.
        seed: Of the folds.
    """

    def __init__(self, k: PositiveInt = 15, folds: Folds = FOLDS, seed: NonNegativeInt = 0) -> None:
        super().__init__(folds, seed)
        self.k = k

    def score(self, x: Tensor, y: Tensor, asked: Tensor) -> Tensor:
        k = min(self.k, len(x))
        return votes(asked, x, 2.0 * y.to(x.dtype) - 1.0, k)

    def params(self) -> dict[str, Any]:
        return {"classifier": "nearest neighbours", "k": self.k, **super().params()}


class LogisticTest(ClassifierTest):
    """The two-sample test with logistic regression, fitted by Newton's method.

    References:
        Revisiting Classifier Two-Sample Tests (Lopez-Paz & Oquab, 2017), 1610.06545.

    Args:
        penalty: λ of the penalty λ/2 |w|² on the weights, which keeps separable data finite.
        folds: Of the cross-validation.
        seed: Of the folds.
    """

    def __init__(self, penalty: PositiveFloat = 1.0, folds: Folds = FOLDS, seed: NonNegativeInt = 0) -> None:
        super().__init__(folds, seed)
        self.penalty = penalty

    def score(self, x: Tensor, y: Tensor, asked: Tensor) -> Tensor:
        ones = (rows.new_ones(len(rows), 1) for rows in (x, asked))
        design, question = (torch.cat([rows, one], 1) for rows, one in zip((x, asked), ones, strict=True))
        return question @ logistic_weights(design, y.to(x.dtype), self.penalty)

    def params(self) -> dict[str, Any]:
        return {"classifier": "logistic", "penalty": self.penalty, **super().params()}


def votes(asked: Tensor, x: Tensor, signs: Tensor, k: int) -> Tensor:
    """(a,): the sum of the signs ±1 (n,) of the k rows of x (n, D) nearest to each of `asked` (a, D).

    The k-th nearest may be several; those give the mean of their signs for each of the places that are left. The sum
    comes multiplied by their number, a whole number whose sign is exact.
    """
    reach = nearest_distances(asked, x, k)[:, -1:]
    counts = asked.new_zeros(4, len(asked))  # rows nearer than the k-th and their signs; rows as near and their signs
    for part, tile in tiles(len(asked), len(x)):
        d2 = comparable_distances(asked[part], x[tile])
        inside = closer(d2, reach[part])
        for i, chosen in enumerate((inside, as_close(d2, reach[part]) & ~inside)):
            counts[2 * i, part] += chosen.sum(1)
            counts[2 * i + 1, part] += chosen.to(x.dtype) @ signs[tile]
    near, of_near, rim, of_rim = counts
    return of_near * rim + (k - near) * of_rim


def logistic_weights(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """w (D,) minimising Σ log(1 + e^{x·w}) − y x·w + λ/2 |w|² over rows x (n, D), y (n,) in {0, 1}."""
    w = x.new_zeros(x.shape[1])
    ridge = penalty * torch.eye(len(w), dtype=x.dtype)
    for step in newton_steps(x, y, penalty, ridge, w):
        w += step
        if float(step.abs().max()) < 1e-10:
            break
    return w


def newton_steps(x: Tensor, y: Tensor, penalty: float, ridge: Tensor, w: Tensor) -> Iterator[Tensor]:
    """Take up to NEWTON_STEPS Newton steps from w, each halved until the loss no longer rises."""

    def loss(w: Tensor) -> float:
        z = x @ w
        return float(torch.nn.functional.softplus(z).sum() - y @ z + 0.5 * penalty * w @ w)

    for _ in range(NEWTON_STEPS):
        p = torch.sigmoid(x @ w)
        gradient = x.T @ (p - y) + penalty * w
        step = torch.linalg.solve(x.T @ (x * (p * (1.0 - p))[:, None]) + ridge, -gradient)
        while loss(w + step) > loss(w) and float(step.abs().max()) > 1e-10:
            step = step / 2
        yield step
