r"""Copying: are samples nearer to the training data than fresh data would be?

No distance to held-out data answers that: the training set itself, submitted as samples, is as close as real data gets.
Here every sample is looked up in the training set T, whose features are a third set of rows.

* Authenticity (Alaa et al. 2022): a sample g with nearest training point t is authentic where |g − t| exceeds the
  distance from t to its own nearest neighbour in T. Copies have 0; fresh data has what the floor says, since g counts
  as a copy where g and t are nearest to each other: 1/3 on a line, 0.38 in the plane, more in more dimensions. Bad
  samples, far from everything, score 1: read it beside coverage. A distance that equals the other up to rounding does
  not exceed it, and a sample with several equally near training points exceeds the distances of all of them.
* C_T (Meehan et al. 2020): the Mann–Whitney z of distances to T, samples against held-out data,

  .. math:: z = \frac{U - nm/2}{\sqrt{nm(n + m + 1)/12}},
            \quad U = \#\{(g, h): d(g) > d(h)\} + \tfrac12 \#\{d(g) = d(h)\}.

  0 for fresh data (standard deviation 1), far below 0 for copies, far above 0 for samples that are off the data. It is
  below 0 for samples of little variety too, which lie closer to all data: `nndr.py` has the test that tells.
"""

from __future__ import annotations

from abc import ABC
from math import sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor

from genkit.errors import ConfigError
from genkit.metrics.base import Probe, Requirement
from genkit.metrics.distances import all_nearest, as_close, as_rows, nearest_distances, tied_ranks
from genkit.metrics.interval import Z, wilson_interval
from genkit.metrics.pair_metric import PairMetric


def authentic(fake: Tensor, train: Tensor) -> Tensor:
    """(n,) bool: which of the samples (n, D) are farther from the training data (m, D) than its points are."""
    distance, which, nearest = all_nearest(fake, train)
    looked_up, place = nearest.unique(return_inverse=True)  # of 60,000 training points, those that are nearest to any
    isolation = nearest_distances(train[looked_up], train, 2)[:, 1]  # the nearest of all is the point itself, at 0
    met = torch.ones(len(fake), dtype=torch.bool)
    met[which[as_close(distance[which], isolation[place])]] = False
    return met


def mann_whitney(left: Tensor, right: Tensor) -> float:
    """z of left (n,) against right (m,): above 0 where the left values are larger; ties count half."""
    n, m = len(left), len(right)
    ordered = right.sort().values
    below, upto = (torch.searchsorted(ordered, left, right=side).to(torch.float64) for side in (False, True))
    u = float((below + upto).sum()) / 2
    return (u - n * m / 2) / sqrt(n * m * (n + m + 1) / 12)


class Authenticity(PairMetric):
    """The share of samples that are no near copy of a training example (AuthPct / 100).

    References:
        How Faithful is your Synthetic Data? (Alaa et al., 2022), 2102.08921.
    """

    requires: ClassVar[tuple[Requirement, ...]] = ("fake", "train")
    sources: ClassVar[tuple[str, str]] = ("train_features", "fake_features")
    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]
    best_at_floor: ClassVar[bool] = True
    divergence: ClassVar[bool] = False

    def compute(self) -> Tensor:
        """() in [0, 1]."""
        return self._met().to(torch.float64).mean()

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        met = self._met()
        return wilson_interval(int(met.sum()), len(met))

    def findings(self) -> dict[str, Any]:
        return {"train": len(self.rows()[0])}

    def _met(self) -> Tensor:
        return self.once(_centred_authentic)


class TrainingTest(PairMetric, ABC):
    """A z-score of samples against held-out data that looks both up in the training data, a third set of rows."""

    requires: ClassVar[tuple[Requirement, ...]] = ("real", "fake", "train")
    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]
    best_at_floor: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    divergence: ClassVar[bool] = False
    units: ClassVar[str] = "z"

    seen: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("seen", default=[], dist_reduce_fx="cat")

    def update(self, probe: Probe) -> None:
        """Keep the rows of one batch, of those of the three sets that it has."""
        super().update(probe)
        if "train_features" in probe:
            self.seen.append(as_rows(probe["train_features"]))

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        """z ± 1.96: its standard deviation is at most 1 for fresh data."""
        value = float(self.compute())
        return value - Z, value + Z


class CopyingTest(TrainingTest):
    """C_T: the z-score of the samples' distances to the training data against those of held-out data.

    References:
        A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan et al., 2020), 2004.05675.
    """

    def compute(self) -> Tensor:
        """(). Raises ConfigError without training data."""
        real, fake = self.rows()
        train = self._rows_of("seen")
        if train.shape[1] != real.shape[1]:
            raise ConfigError("CopyingTest: the training rows have another number of columns")
        centre = train.mean(0)
        d2 = torch.cat([nearest_distances(rows - centre, train - centre)[:, 0] for rows in (fake, real)])
        left, right = tied_ranks(d2).split([len(fake), len(real)])
        return torch.tensor(mann_whitney(left, right), dtype=torch.float64)

    def params(self) -> dict[str, Any]:
        return {"cells": 1}

    def findings(self) -> dict[str, Any]:
        return {"train": len(self._rows_of("seen")), "fresh data": 0}


def _centred_authentic(train: Tensor, fake: Tensor) -> Tensor:
    centre = train.mean(0)
    return authentic(fake - centre, train - centre)
