"""The scores of a sweep over the values that were swept: one point per job, as a PNG.

Where a key takes numbers, the score is drawn over it, with a line for each combination of the other keys; jobs that
differ in their seed alone are points around the line of their means. Where no key does, each job is a row. Of a sweep
over several keys there are the panels of `genkit.report.sweep_panels`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from genkit.report.figure import new_figure, save_figure
from genkit.report.palette import BEST, MODEL
from genkit.report.palette import colour as colour_of
from genkit.report.sweep_panels import (
    LOGARITHMIC,
    Point,
    draw_factor,
    draw_parallel,
    number_of,
    varied_keys,
)

SEED = "seed"
MARKS = "osD^vPX*"
ARROWS = {"min": " ↓", "max": " ↑"}
ABREAST = 3  # panels in a row
LINES = 10  # in a legend; with more, each job is a row
LONGEST = 48  # characters of a name


def save_sweep(path: Path, points: Sequence[Point], score: str, mode: str | None, title: str) -> None:
    """Draw the scores of two jobs or more; raises StorageError where the disk refuses.

    Args:
        path: Of the PNG.
        points: The jobs, in their order.
        score: What the scores are of, as val/loss.
        mode: "min" or "max", which is best; None where the scores cannot be ranked.
        title: Model and data.
    """
    if len(keys := varied_keys(points, SEED)) > 1:
        _save_panels(path, points, keys, score, mode, title)
        return
    key = numeric_key(points)
    lines = {} if key is None else lines_over(points, key)
    over = key is not None and len(lines) <= LINES
    figure = new_figure(7, 4.5 if over else 1.7 + 0.28 * len(points), title)
    axes = figure.add_subplot()
    score += ARROWS.get(mode or "", "")
    if key is not None and over:
        draw_lines(axes, lines)
        axes.set_xlabel(key, parse_math=False)
        axes.set_ylabel(score, parse_math=False)
        mark_best(axes, [(float(point.values[key]), point.score) for point in points], mode)
    else:
        draw_rows(axes, points)
        axes.set_xlabel(score, parse_math=False)
        mark_best(axes, [(point.score, place) for place, point in enumerate(points)], mode, along=0)
    if len(lines) > 1 or mode is not None:
        axes.legend(fontsize=8)
    axes.grid(alpha=0.25)
    save_figure(path, figure)


def _save_panels(
    path: Path, points: Sequence[Point], keys: Sequence[str], score: str, mode: str | None, title: str
) -> None:
    """A panel for each key, and the parallel coordinates below."""
    across = min(ABREAST, len(keys))
    rows = math.ceil(len(keys) / across)
    figure = new_figure(max(7.0, 3.2 * across), 2.9 * rows + 3.6, title)
    grid = figure.add_gridspec(rows + 1, across, height_ratios=[*(2.7 for _ in range(rows)), 3.4])
    score += ARROWS.get(mode or "", "")
    for place, key in enumerate(keys):
        axes = figure.add_subplot(grid[place // across, place % across])
        draw_factor(axes, points, key, mode)
        if place % across == 0:
            axes.set_ylabel(score, parse_math=False)
        if place == 0:
            axes.legend(fontsize=8)
    axes = figure.add_subplot(grid[rows, :])
    draw_parallel(axes, points, keys, score, mode)
    save_figure(path, figure)


def numeric_key(points: Sequence[Point]) -> str | None:
    """The first key, other than the seed, with two finite numbers or more and nothing else; None where none has."""
    for key in dict.fromkeys(key for point in points for key in point.values if key != SEED):
        numbers = {number_of(point.values.get(key, "")) for point in points}
        if None not in numbers and len(numbers) > 1:
            return key
    return None


def lines_over(points: Sequence[Point], key: str) -> dict[str, dict[float, list[float]]]:
    """Name of a line -> value of the key -> scores; the name is that of all other keys but the seed."""
    lines: dict[str, dict[float, list[float]]] = {}
    for point in points:
        name = _named({other: value for other, value in point.values.items() if other not in (key, SEED)})
        lines.setdefault(name, {}).setdefault(float(point.values[key]), []).append(point.score)
    return lines


def draw_lines(axes: Axes, lines: Mapping[str, Mapping[float, Sequence[float]]]) -> None:
    """A line through the mean scores of each value, with every score as a point."""
    for i, (name, scores) in enumerate(lines.items()):
        x = sorted(scores)
        axes.plot(x, [math.fsum(scores[at]) / len(scores[at]) for at in x], color=colour_of(i), lw=1.5)
        every = [(at, score) for at in x for score in scores[at]]
        axes.plot(
            *zip(*every, strict=True), MARKS[i % len(MARKS)], color=colour_of(i), markersize=5, label=name or "job"
        )
    values = [at for scores in lines.values() for at in scores]
    if min(values) > 0 and max(values) > LOGARITHMIC * min(values):
        axes.set_xscale("log")


def draw_rows(axes: Axes, points: Sequence[Point]) -> None:
    """A row for each job, the first on top."""
    axes.plot([point.score for point in points], range(len(points)), "o", color=MODEL, markersize=5, label="job")
    axes.set_yticks(range(len(points)), [_named(point.values) for point in points], parse_math=False)
    axes.set_ylim(len(points) - 0.5, -0.5)


def mark_best(axes: Axes, places: Sequence[tuple[float, float]], mode: str | None, along: int = 1) -> None:
    """Ring the best of the places (x, y), whose scores are their coordinate `along`."""
    if mode is None:
        return
    best = (min if mode == "min" else max)(places, key=lambda place: place[along])
    axes.plot(
        *best,
        "o",
        color=BEST,
        markersize=12,
        markerfacecolor="none",
        markeredgecolor=BEST,
        markeredgewidth=1.5,
        label="best",
    )


def _named(values: Mapping[str, str]) -> str:
    text = ", ".join(f"{key}={value}" for key, value in values.items())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
