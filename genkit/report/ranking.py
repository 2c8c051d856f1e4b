"""Ranks of the rows of one metric: 1 + the number of rows that are surely better.

Of each row it is known between which ends its true value lies. For an exact value these are the ends of its 95 %
interval; a bound is open on its better side, since the truth may be any better; an estimate of unknown bias says
nothing and has no rank. Row A is surely better than row B where A's worse end is better than B's better end. So rows
that cannot be told apart share a rank.

A bound decides where even the bound is better than another row, and never decides against its own. It has a rank only
where it beats every exact row. A metric that is a bound by name (an ELBO) is compared as what it is.

Trivial baselines have no rank, but a row that one of them surely beats is not first. Real data and copies of the
training data are no trivial models: they are good, and are not counted. No rank have also values that are not finite,
values without an interval, metrics that are best near real data, and a row that is alone.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from genkit.report.rows import ScoreRow

NOT_TRIVIAL = ("real data", "training copies")  # baselines that no model is expected to beat


@dataclass(frozen=True)
class Extent:
    """Between which ends the truth lies, turned so that lower is better."""

    better: float
    worse: float


def extent(row: ScoreRow) -> Extent | None:
    """None where nothing is known that could rank the row."""
    if row.value is None or row.interval is None or row.direction == "near" or row.kind == "estimate":
        return None
    low, high = row.interval if row.direction == "min" else (-row.interval[1], -row.interval[0])
    return Extent(-math.inf if is_bound(row) else low, high)


def is_bound(row: ScoreRow) -> bool:
    """Tell whether the truth may be any better than the value."""
    return row.kind == "lower" and not row.measures_bound


def ranked(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The rows of one metric with their ranks, best first; below them what is not finite, then the baselines."""
    extents = [extent(row) for row in rows]
    known = [(row, found) for row, found in zip(rows, extents, strict=True) if found is not None]
    contest = [(row, found) for row, found in known if not row.baseline]
    trivial = [(row, found) for row, found in known if row.baseline and row.source not in NOT_TRIVIAL]
    worse_ends = sorted(found.worse for _, found in (*contest, *trivial))
    exact = min((found.better for row, found in contest if not is_bound(row)), default=-math.inf)
    best_trivial = min(trivial, key=lambda pair: pair[1].worse, default=None)

    def judged(row: ScoreRow, found: Extent | None) -> ScoreRow:
        if found is None or row.baseline:
            return row
        beaten = best_trivial is not None and best_trivial[1].worse < found.better
        decided = not is_bound(row) or found.worse < exact
        rank = 1 + bisect_left(worse_ends, found.better) if decided else None
        return replace(row, rank=rank, beaten_by=best_trivial[0].source if best_trivial and beaten else None)

    placed = [judged(row, found) for row, found in zip(rows, extents, strict=True)]
    if sum(row.rank is not None for row in placed) < 2:
        placed = [replace(row, rank=None) for row in placed]
    return sorted(placed, key=_place)


def _place(row: ScoreRow) -> tuple[bool, bool, float]:
    value = 0.0 if row.value is None else row.value
    return row.baseline, row.value is None, -value if row.direction == "max" else value
