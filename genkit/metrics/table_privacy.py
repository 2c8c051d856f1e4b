r"""Privacy of generated rows: are they nearer to the rows that the model saw than to rows that it did not?

* `RowPrivacy`. Of each generated row the nearest real rows are looked up among the N training rows and the M held-out
  ones together. For rows that know neither set better, each of the N + M is as likely to be the nearest, so a share
  p = N/(N + M) of them is nearest to a training row. With s the share that is (of several equally near rows, the share
  of training rows among them),

  .. math:: v = \frac{s\,(1 - p)}{s\,(1 - p) + (1 - s)\,p}

  is 1/2 then, 1 for copies, and s itself where N = M. Categories are at distance 1, numbers at the difference of their
  standard normal scores.
* `ExactCopies`: the share of generated rows that equal a training row in every cell. In tables of few levels real rows
  repeat, and fresh ones would equal a training row as often as a training row equals another one; that share stands
  beside the score. (Between the splits of a table no row is repeated: equal rows fall on one side.)

Neither is a guarantee: what is far from the nearest row may still tell of a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from genkit.errors import ConfigError
from genkit.metrics.base import Probe, Requirement
from genkit.metrics.distances import as_close, as_rows, comparable_distances, nearest_distances, tiles
from genkit.metrics.interval import wilson_interval
from genkit.metrics.table_metric import TableMetric

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


class RowPrivacy(TrainingRows):
    """Nearness of generated rows to training rows against that to held-out ones: ½ for fresh rows, 1 for copies.

    References:
        Distance to closest record against a holdout: Holdout-based empirical assessment of mixed-type synthetic data
        (Platzer & Reutterer 2021, 2104.00635).
    """

    requires: ClassVar[tuple[Requirement, ...]] = ("real", "fake", "train")

    def compute(self) -> Tensor:
        """() in [0, 1]."""
        share, prior, _ = self._found()
        return torch.tensor(_balanced(share, prior), dtype=torch.float64)

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        share, prior, n = self._found()
        low, high = wilson_interval(share * n, n)
        return _balanced(low, prior), _balanced(high, prior)

    def findings(self) -> dict[str, Any]:
        return {"train": len(self._rows_of("seen")), "fresh data": 0.5, "nearest": self._found()[0]}

    def warnings(self, value: float, floor: float | None) -> Iterator[str]:
        yield from super().warnings(value, floor)
        if self.interval(0, 0)[0] > EXPOSED:
            yield f"the samples are nearer to training rows than fresh rows would be ({value:.2f}, not 0.50): copies?"

    def _found(self) -> tuple[float, float, int]:
        """s, p and the number of samples."""
        train = self._rows_of("seen")
        return self.once(lambda real, fake: self._shares(real, fake, train))

    def _shares(self, real: Tensor, fake: Tensor, train: Tensor) -> tuple[float, float, int]:
        rows = [self.kind.coordinates(part) for part in (fake, train, real)]
        centre = rows[1].mean(0)
        fakes, seen, fresh = (part - centre for part in rows)
        nearest = [nearest_distances(fakes, part)[:, 0] for part in (seen, fresh)]
        least = torch.minimum(*nearest)
        of_seen, of_fresh = (_count_at(fakes, part, least) for part in (seen, fresh))
        share = float((of_seen / (of_seen + of_fresh)).mean())
        return share, len(seen) / (len(seen) + len(fresh)), len(fakes)


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

    def findings(self) -> dict[str, Any]:
        return {"train": len(self.rows()[0]), "fresh data": self._shares()[1]}

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

    def _compared(self, train: Tensor, fake: Tensor) -> tuple[float, float]:
        """Of the samples that equal a training row, and of training rows that equal another one."""
        if not len(fake):
            raise ConfigError("exact_copies needs samples")
        counts: dict[bytes, int] = {}
        for row in train.numpy():
            counts[row.tobytes()] = counts.get(row.tobytes(), 0) + 1
        copied = sum(row.tobytes() in counts for row in fake.numpy())
        return copied / len(fake), sum(count for count in counts.values() if count > 1) / len(train)


def _balanced(share: float, prior: float) -> float:
    return share * (1 - prior) / (share * (1 - prior) + (1 - share) * prior)


def _count_at(points: Tensor, others: Tensor, distance: Tensor) -> Tensor:
    """(n,) how many of the others (m, D) are at a squared distance (n,) from each of the points (n, D)."""
    count = points.new_zeros(len(points))
    for part, tile in tiles(len(points), len(others)):
        found = as_close(comparable_distances(points[part], others[tile]), distance[part][:, None])
        count[part] += found.sum(1)
    return count
