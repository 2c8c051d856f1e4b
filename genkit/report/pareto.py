"""The Pareto set of two objectives as a PNG: what quality costs.

Every training is a point; those that no other one dominates (at least as good in both, better in one) are joined by
steps, below or above which nothing was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genkit.report.figure import new_figure, save_figure
from genkit.report.palette import BEST, MODEL
from genkit.report.sweep_panels import LOGARITHMIC

ARROWS = {"min": " ↓", "max": " ↑"}
NAMED = 12  # points of the set that are numbered


@dataclass(frozen=True)
class ScoredCost:
    """A training with two objectives.

    Attributes:
        number: Of the job.
        cost: The first coordinate, of which less is better.
        score: The second one.
        in_set: Whether it is in the Pareto set.
    """

    number: int
    cost: float
    score: float
    in_set: bool


def save_pareto(path: Path, points: Sequence[ScoredCost], cost: str, score: str, mode: str, title: str) -> None:
    """Draw trainings and their Pareto set; raises StorageError where the disk refuses.

    Args:
        path: Of the PNG.
        points: The trainings.
        cost: Name of the first objective.
        score: Name of the second one.
        mode: "min" or "max": which score is best.
        title: Model and data.
    """
    figure = new_figure(7, 4.5, title)
    axes = figure.add_subplot()
    others = [point for point in points if not point.in_set]
    chosen = sorted((point for point in points if point.in_set), key=lambda point: point.cost)
    if others:
        x, y = [point.cost for point in others], [point.score for point in others]
        axes.plot(x, y, "o", color=MODEL, markersize=5, alpha=0.7, label="trial")
    x, y = [point.cost for point in chosen], [point.score for point in chosen]
    axes.step(x, y, "o-", where="post", label="Pareto set", color=BEST, markersize=6, lw=1.5)
    for point in _spread(chosen):
        axes.annotate(str(point.number), (point.cost, point.score), (5, 5), textcoords="offset points", fontsize=8)
    costs = [point.cost for point in points]
    if min(costs) > 0 and max(costs) > LOGARITHMIC * min(costs):
        axes.set_xscale("log")
    axes.set_xlabel(f"{cost}{ARROWS['min']}", parse_math=False)
    axes.set_ylabel(f"{score}{ARROWS[mode]}", parse_math=False)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    save_figure(path, figure)


def _spread(points: Sequence[ScoredCost]) -> list[ScoredCost]:
    """Some of the points, the first and the last among them, where there are too many to number."""
    if len(points) <= NAMED:
        return list(points)
    step = (len(points) - 1) / (NAMED - 1)
    return [points[round(rank * step)] for rank in range(NAMED)]
