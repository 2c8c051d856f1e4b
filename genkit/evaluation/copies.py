"""The search for copies, unasked: samples that are as near to real data as real data may be training data.

Where a distance to the reference cannot be told from its floor, or is below it, the tests of copying are taken too
(`genkit.metrics.nndr`, `genkit.metrics.copying`). Where it may only be so, since a floor of few repeats is
hardly known, the test for copies alone is taken, and listed if it finds some. Of a file nobody knows the training data:
a part of it is held out, and the rest may have been copied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genkit.data.split import Split
from genkit.evaluation.floors import Floors
from genkit.evaluation.probe import Prober
from genkit.evaluation.record import Record
from genkit.evaluation.reference import Floor, Reference
from genkit.evaluation.source import Source
from genkit.metrics.base import ProbeMetric
from genkit.metrics.copying import Authenticity, CopyingTest
from genkit.metrics.nndr import COPIED, NAMED, DistanceRatio

TESTS: dict[str, ProbeMetric] = {"nndr": DistanceRatio(), "authenticity": Authenticity(), "c_t": CopyingTest()}
ROUNDING = 1e-9  # relative, within which two distances are one
MISSED = 1e-3  # share of copied sets whose distance is too large to be looked up
ENOUGH = 40  # examples of a file below which copies are not looked for
HELD_OUT = 4  # a file's examples are cut into this many parts, one of which stands for fresh data


@dataclass(frozen=True)
class CopyTest:
    """The tests of copying to take, and what they compare.

    Attributes:
        metrics: By name.
        held_out: Data that no model has seen, as far as is known.
        train: What may have been copied; None where it is unknown.
        listed: Whether their scores are listed whatever they are; else only where copies are found.
        features: Those of both, where they are known already.
    """

    metrics: Mapping[str, ProbeMetric]
    held_out: Split
    train: Split | None
    listed: bool
    features: Sequence[tuple[Split, Tensor]] = ()


class CopySearch:
    """The search for copies of one reference's data.

    Args:
        reference: Held-out real data.
        prober: The feature space.
        floors: The scores of real data.
    """

    def __init__(self, reference: Reference, prober: Prober, floors: Floors) -> None:
        self.reference, self.prober, self.floors = reference, prober, floors

    def test(self, records: Sequence[Record], asked: Mapping[str, ProbeMetric]) -> CopyTest | None:
        """Choose the tests that samples with these scores call for and that were not `asked` for; None for none."""
        if self.reference.dataset is None and len(self.reference.data) < ENOUGH:
            return None
        near = any(self._as_near_as_real(record, asked[record.metric]) for record in records)
        if not near and not any(self._may_be_as_near(record, asked[record.metric]) for record in records):
            return None
        if self.reference.dataset is not None:
            chosen = TESTS if near else {"nndr": TESTS["nndr"]}
            chosen = {name: metric for name, metric in chosen.items() if name not in asked}
            return CopyTest(chosen, self.reference.data, self.reference.train, near)
        held_out, train = (self.reference.data[rows] for rows in (self._held_out, ~self._held_out))
        return CopyTest({"nndr": TESTS["nndr"]}, held_out, train, near, self._features_of(held_out, train))

    def with_pairs(self, record: Record, source: Source) -> Record:
        """A record of nndr with the rows of its pairs as the user knows them, and what they are evidence of."""
        z = record.value
        if record.metric != "nndr" or z is None:
            return record
        rows, name = None, "training example"
        if self.reference.rows is not None:
            rows, name = self.reference.rows[~self._held_out], f"row of {self.reference.name}"
        pairs = [
            [source.row_of(i), int(j if rows is None else rows[j]), distance, ratio]
            for i, j, distance, ratio in record.findings["pairs"]
        ]
        record = replace(record, findings={**record.findings, "pairs": pairs})
        if not accuses(record):
            return record
        named = ", ".join(f"{i} and {j}" for i, j, *_ in pairs[:NAMED])
        warning = (
            f"copies: samples lie nearer to single examples than fresh data does (z = {z:.1f}, by chance "
            f"below {COPIED:.0f} once in 30,000 times); nearest sample and {name}: {named}"
        )
        return replace(record, warnings=(*record.warnings, warning), status="warn")

    def _as_near_as_real(self, record: Record, metric: ProbeMetric) -> bool:
        """Tell whether a distance to real data is below its floor or within two deviations of it, or may be."""
        floor = record.floor
        looked_up = _is_distance(metric) and (metric.uses_features or self.reference.dataset is None)
        if record.value is None or not looked_up:
            return False
        if floor is None:  # the data is too small for one, or nobody wants one: then only files are looked up
            return self.reference.dataset is None or self.floors.repeats > 0
        return _within(record.value, floor, 2 * floor.sd)

    def _may_be_as_near(self, record: Record, metric: ProbeMetric) -> bool:
        """Tell whether copies could have this distance; few repeats hardly determine the spread of a floor.

        A copied set scores like one more repeat. That exceeds the mean of r by more than
        t(r − 1) sd √(1 + 1/r) once in a thousand times, t the quantile of Student's distribution.
        """
        if record.value is None or not _is_distance(metric):
            return False
        if (floor := record.floor) is None or (r := len(floor.values)) < 2:
            return True
        return _within(record.value, floor, _quantile_of_t(r - 1) * floor.sd * math.sqrt(1 + 1 / r))

    def _features_of(self, held_out: Split, train: Split) -> list[tuple[Split, Tensor]]:
        """The features of both parts of a file, which are known already."""
        if not self.prober.featured:
            return []
        features = self.prober.features_of(self.reference.data)
        return [(held_out, features[self._held_out]), (train, features[~self._held_out])]

    @property
    def _held_out(self) -> Tensor:
        """(N,) bool: every HELD_OUT-th example of a file, whose examples stand in a random order."""
        return torch.arange(len(self.reference.data)) % HELD_OUT == 0


def _is_distance(metric: ProbeMetric) -> bool:
    """Tell whether it is a distance of samples from data, which copied data makes small."""
    return metric.divergence and {"real", "fake"} <= set(metric.requires)


def accuses(record: Record) -> bool:
    """Tell whether it is the test for copies, and has found some."""
    return record.metric == "nndr" and record.value is not None and record.value < COPIED


def _within(value: float, floor: Floor, more: float) -> bool:
    """Tell whether a score, by the floor's protocol if there is one, is at most `more` above the floor's mean."""
    rounding = ROUNDING * abs(floor.mean)  # the repeats may be one set reordered, with no spread of their own
    return (value if floor.score is None else floor.score) <= floor.mean + more + rounding


def _quantile_of_t(degrees: int) -> float:
    """The quantile 1 − MISSED of Student's t distribution."""
    from scipy.special import stdtrit  # here, since it takes a tenth of a second to import

    return float(stdtrit(degrees, 1 - MISSED))
