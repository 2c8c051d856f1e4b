"""Trainings that differ in their seed alone, as one row: the mean over them, with its standard deviation.

What an interval of one run covers is the draw of its samples. Over k seeds the spread of the scores covers the training
as well: the group's interval is mean ± t sd/√k, t the 97.5 % quantile of Student's distribution with k − 1 degrees of
freedom, which for few seeds is wide (12.7 for two, 4.3 for three).
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from genkit.report.rows import ScoreRow

# 97.5 % quantiles of Student's t with 1, 2, … degrees of freedom
STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604)
# facts of a model that differ between seeds, or between machines, although nothing else does
OF_ONE_RUN = frozenset(("ckpt", "ckpt_sha256", "train_seed", "device", "cpu_seconds", "load"))


def quantile(freedom: int) -> float:
    """Student's 97.5 % quantile; beyond the table by the expansion in 1/freedom, exact to three decimals."""
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    z = 1.959964
    terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def over_seeds(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The rows with those of equal configurations and different training seeds as one, at the first one's place.

    Rows stay apart where a seed occurs twice among them, or where one is not finite.
    """
    groups: dict[str, list[ScoreRow]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(_key(row) or f"row {i}", []).append(row)
    joined = {id(group[0]): _joined(group) for group in groups.values() if _are_seeds(group)}
    absorbed = {id(row) for group in groups.values() if _are_seeds(group) for row in group[1:]}
    return [joined.get(id(row), row) for row in rows if id(row) not in absorbed]


def _key(row: ScoreRow) -> str | None:
    """The values that must be equal; None where the record does not say what the model was trained with."""
    if row.baseline or row.model is None or row.train_seed is None or row.model.get("config") is None:
        return None
    facts = {name: value for name, value in row.model.items() if name not in OF_ONE_RUN}
    return json.dumps([row.name, row.conditions, facts, row.kind, row.direction], sort_keys=True)


def _are_seeds(group: Sequence[ScoreRow]) -> bool:
    seeds = {row.train_seed for row in group}
    return len(group) > 1 and len(seeds) == len(group) and all(row.value is not None for row in group)


def _joined(group: Sequence[ScoreRow]) -> ScoreRow:
    values = [row.value for row in group if row.value is not None]
    mean, sd = statistics.mean(values), statistics.stdev(values)
    half = quantile(len(values) - 1) * sd / math.sqrt(len(values))
    first, floor = group[0], group[0].floor
    names = {row.source for row in group}
    source = first.source if len(names) == 1 else str((first.model or {}).get("family", first.source))
    seconds = [row.cost.seconds_per_1000 for row in group if row.cost.seconds_per_1000 is not None]
    return replace(
        first,
        source=f"{source}, {len(group)} seeds",
        value=mean,
        interval=(mean - half, mean + half),
        sd=sd,
        seeds=tuple(row.train_seed for row in group if row.train_seed is not None),
        ratio=None if first.ratio is None or floor is None or floor[0] <= 0 else mean / floor[0],
        difference=None if first.difference is None or floor is None else mean - floor[0],
        cost=replace(first.cost, seconds_per_1000=statistics.mean(seconds) if seconds else None),
    )
