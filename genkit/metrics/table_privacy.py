r"""Privacy of generated rows: are they nearer to the rows that the model saw than to rows that it did not?

* `RowPrivacy`. Of each generated row the nearest real rows are looked up among the N training rows and the M held-out
  ones together. For rows that know neither set better, each of the N + M is as likely to be the nearest, so a share
  p = N/(N + M) of them is nearest to a training row. With s the share that is (of several equally near rows, the share
  of training rows among them),

  .. math:: v = \frac{s\,(1 - p)}{s\,(1 - p) + (1 - s)\,p}

  is 1/2 then, 1 for copies, and s itself where N = M. Categories of more than two levels are at distance 1, all
  else at the difference of its standard normal scores.

  Samples that crowd around few real rows say as little as these: which of the rows were held out is chance. Let w_g be
  the share of the samples that real row g, with all that equal it, is nearest to; then s has for fresh rows the
  variance of a share of

  .. math:: n_\text{eff} = 1 / \textstyle\sum_g w_g^2

  independent ones, and an interval after Wilson of as many.
* `ExactCopies`: the share of generated rows that equal a training row in every cell. In tables of few levels real rows
  repeat, and fresh ones would equal a training row as often as a training row equals another one; that share stands
  beside the score. (Between the splits of a table no row is repeated: equal rows fall on one side.)

Neither is a guarantee: what is far from the nearest row may still tell of a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genkit.metrics.base import Probe, Requirement
from genkit.metrics.distances import all_nearest, as_rows
from genkit.metrics.interval import wilson_interval
from genkit.metrics.table_metric import TableMetric

FRESH = 0.5  # v of fresh rows
HASH = 16  # bytes of the hash of a row
EXPOSED = 0.55  # of v, below which nothing is said


class TrainingRows(TableMetric):
    """A metric that looks generated rows up among the training rows, a third set."""

    best_at_floor: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False

    seen: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("seen", default=[], dist_reduce_fx="cat")

    def update(self, probe: Probe) -> None:
        """Keep the rows of one batch, of those of the three sets that it has."""
        super().update(probe)
        if "train" in probe:
            self.seen.append(as_rows(probe["train"]))


@dataclass(frozen=True)
class Nearness:
    """The nearest real rows of the samples, in numbers.

    Attributes:
        share: s, of the samples whose nearest real row is a training row.
        prior: p, of the real rows that are training rows.
        effective: n_eff.
    """

    share: float
    prior: float
    effective: float

    @property
    def value(self) -> float:
        """v."""
        return _balanced(self.share, self.prior)

    @property
    def interval(self) -> tuple[float, float]:
        """Of v, 95 %."""
        low, high = wilson_interval(self.share * self.effective, self.effective)
        return _balanced(low, self.prior), _balanced(high, self.prior)


class RowPrivacy(TrainingRows):
    """Nearness of generated rows to training rows against that to held-out ones: ½ for fresh rows, 1 for copies.

    References:
        Distance to closest record against a holdout: Holdout-based empirical assessment of mixed-type synthetic data
        (Platzer & Reutterer 2021, 2104.00635).
    """

    requires: ClassVar[tuple[Requirement, ...]] = ("real", "fake", "train")
    covers: ClassVar[str] = "the mean score of n samples over which rows are held out"

    def compute(self) -> Tensor:
        """() in [0, 1]."""
        return torch.tensor(self._found().value, dtype=torch.float64)

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return self._found().interval

    def expected(self) -> float:
        return FRESH

    def findings(self) -> dict[str, Any]:
        found = self._found()
        return {"train": len(self._rows_of("seen")), "nearest": found.share, "effective": found.effective}

    def warnings(self, value: float, floor: float | None) -> Iterator[str]:
        yield from super().warnings(value, floor)
        if self._found().interval[0] > EXPOSED:
            yield f"the samples are nearer to training rows than fresh rows would be ({value:.2f}, not 0.50): copies?"

    def _found(self) -> Nearness:
        train = self._rows_of("seen")
        return self.once(lambda real, fake: self._nearness(real, fake, train))

    def _nearness(self, real: Tensor, fake: Tensor, train: Tensor) -> Nearness:
        rows, place = distinct_rows(torch.cat([train, real]))
        of_train, of_all = (torch.bincount(part, minlength=len(rows)).double() for part in (place[: len(train)], place))
        centre = self.kind.coordinates(train).mean(0)
        points, others = (self.kind.coordinates(part) - centre for part in (fake, rows))
        _, sample, row = all_nearest(points, others)
        near = torch.bincount(sample, weights=of_all[row], minlength=len(fake))  # equally near rows of each sample
        share = (torch.bincount(sample, weights=of_train[row], minlength=len(fake)) / near).mean()
        weight = torch.bincount(row, weights=of_all[row] / near[sample], minlength=len(rows)) / len(fake)
        return Nearness(float(share), len(train) / len(place), float(1 / weight.square().sum()))


class ExactCopies(TrainingRows):
    """The share of generated rows that equal a training row in every cell."""

    requires: ClassVar[tuple[Requirement, ...]] = ("fake", "train")
    sources: ClassVar[tuple[str, str]] = ("train", "fake")

    def update(self, probe: Probe) -> None:
        """Keep the rows of one batch: training rows take the part of real ones."""
        TableMetric.update(self, probe)

    def compute(self) -> Tensor:
        """() in [0, 1]."""
        return torch.tensor(self._shares()[0], dtype=torch.float64)

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        n = len(self.rows()[1])
        return wilson_interval(self._shares()[0] * n, n)

    def expected(self) -> float:
        """The share of training rows that equal another one."""
        return self._shares()[1]

    def findings(self) -> dict[str, Any]:
        return {"train": len(self.rows()[0])}

    def warnings(self, value: float, floor: float | None) -> Iterator[str]:
        yield from super().warnings(value, floor)
        expected = self._shares()[1]
        if value > expected and self.interval(0, 0)[0] > expected:
            yield (
                f"{100 * value:.0f} % of the samples equal a training row; of training rows {100 * expected:.0f} % "
                "equal another one, and so would fresh rows"
            )

    def _shares(self) -> tuple[float, float]:
        return self.once(self._compared)

    @staticmethod
    def _compared(train: Tensor, fake: Tensor) -> tuple[float, float]:
        """Of the samples that equal a training row, and of training rows that equal another one."""
        rows, place = distinct_rows(torch.cat([train, fake]))
        seen = torch.bincount(place[: len(train)], minlength=len(rows))[place]
        copied, repeated = seen[len(train) :] > 0, seen[: len(train)] > 1
        return float(copied.double().mean()), float(repeated.double().mean())


def distinct_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Find the different rows (k, D) of rows (n, D), and which of them each one is, (n,) int64; by their hashes."""
    whole = (rows + 0.0).numpy()  # makes 0 of −0
    hashes = np.array([blake2b(row.tobytes(), digest_size=HASH).digest() for row in whole], dtype=f"V{HASH}")
    _, first, place = np.unique(hashes, return_index=True, return_inverse=True)
    return rows[torch.from_numpy(first)], torch.from_numpy(place.reshape(-1))


def _balanced(share: float, prior: float) -> float:
    return share * (1 - prior) / (share * (1 - prior) + (1 - share) * prior)
