"""Loss curves from a run's metrics.jsonl: one panel per term, training and validation over each other.

A line of metrics.jsonl is a JSON object with the integer "step" and any of "train/NAME", "val/NAME" and others; a last
line that a kill cut short is left out.
"""

import json
from math import ceil
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from genkit.errors import DataError
from genkit.printing import shown
from genkit.report.grid import columns_for
from genkit.report.scatter import DPI, save_figure
from genkit.storage.regular import read_regular

Series = dict[str, list[tuple[int, float]]]  # key -> (step, value)
Row = dict[str, Any]
COLUMNS = 3
LARGEST = 2**28  # bytes
LARGEST_NUMBER = 1e300  # what can be drawn; NaN is not below it
STAGES = {"train": "training", "val": "validation"}
WIDE = 50  # largest value over the least, from which on an axis shows powers of ten


def read_series(path: str | Path) -> Series:
    """Every numeric key of a metrics.jsonl as (step, value) pairs in the order of the file.

    Raises DataError where the file is missing or a line other than the last is no JSON object with a step.
    """
    advice = "give the metrics.jsonl of a run"
    try:
        lines = read_regular(path, LARGEST, advice=advice).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(path)}: cannot be read (not UTF-8): {advice}") from error
    series: Series = {}
    for number, line in enumerate(lines, start=1):
        row = parse_row(line)
        if row is None and number < len(lines):
            raise DataError(
                f"{shown(path)}: line {number} is no JSON object with a step; give the metrics.jsonl of a run"
            )
        if row is not None:
            for key, value in numbers_of(row).items():
                series.setdefault(key, []).append((row["step"], value))
    return series


def numbers_of(row: Row) -> dict[str, float]:
    """The finite numbers of a row but for the step; JSON's NaN and Infinity cannot be drawn."""
    numbers = {key: value for key, value in row.items() if isinstance(value, int | float) and type(value) is not bool}
    return {key: float(value) for key, value in numbers.items() if key != "step" and abs(value) <= LARGEST_NUMBER}


def parse_row(line: str) -> Row | None:
    """The JSON object of a line, None if it is none or has no integer step."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None


def panels_of(series: Series) -> dict[str, Series]:
    """Term -> its series by part: {"kl": {"train": …, "val": …}}; keys without a part stand alone."""
    panels: dict[str, Series] = {}
    for key, points in series.items():
        part, _, term = key.rpartition("/")
        panels.setdefault(term, {})[part or "run"] = points
    return panels


def save_curves(path: str | Path, metrics: str | Path) -> None:
    """The curves of the file `metrics` as a PNG at `path`.

    Raises DataError where there is nothing to draw and StorageError where the disk refuses.
    """
    panels = panels_of(read_series(metrics))
    if not panels:
        raise DataError(f"{metrics}: no logged values yet; train for longer")
    rows, columns = ceil(len(panels) / COLUMNS), min(COLUMNS, len(panels))
    figure = Figure(figsize=(4 * columns, 3 * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for i, (term, parts) in enumerate(panels.items()):
        draw_panel(figure.add_subplot(rows, columns, i + 1), term, parts)
    save_figure(path, figure)


def save_loss_curves(path: str | Path, metrics: str | Path, title: str = "") -> bool:
    """The losses of a training as a PNG: one panel per term, every phase in it, training and validation together.

    Returns False, and draws nothing, before two steps of the training were logged. Raises DataError where the file
    `metrics` is missing or damaged and StorageError where the disk refuses.
    """
    series = {key: points for key, points in read_series(metrics).items() if key.split("/")[0] in STAGES}
    if not any(len(points) > 1 for key, points in series.items() if key.startswith("train/")):
        return False
    panels = dict(sorted(panels_of(series).items(), key=lambda panel: panel[0] != "loss"))  # what is minimised first
    columns = columns_for(len(panels))
    figure = Figure(figsize=(4.4 * columns, 3.2 * ceil(len(panels) / columns)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    last = max(step for points in series.values() for step, _ in points)
    for i, (term, parts) in enumerate(panels.items()):
        axes = figure.add_subplot(ceil(len(panels) / columns), columns, i + 1, xlim=(0, 1.02 * last))
        draw_losses(axes, term, parts)
    lines = {str(line.get_label()): line for axes in figure.axes for line in axes.get_lines()}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=4, frameon=False)
    save_figure(path, figure)
    return True


def draw_losses(axes: Axes, term: str, parts: Series) -> None:
    """One term: a colour per phase, its training as a line, its validation as points; a wide range in powers of ten."""
    phases = list(dict.fromkeys(part.partition("/")[2] for part in parts))
    for part, points in parts.items():
        stage, _, phase = part.partition("/")
        steps, values = zip(*points, strict=True)
        colour = f"C{phases.index(phase)}"
        label = " ".join(word for word in (phase, STAGES[stage]) if word)
        if stage == "train":
            axes.plot(steps, values, color=colour, label=label, linewidth=1.0, alpha=0.6)
        else:
            axes.plot(steps, values, color=colour, label=label, linestyle="--", marker="o", markersize=4)
    numbers = [value for points in parts.values() for _, value in points]
    if min(numbers) > 0 and max(numbers) > WIDE * min(numbers):
        axes.set_yscale("log")
    axes.set(xlabel="step", ylabel=term.replace("_", " "))
    axes.grid(alpha=0.25)


def draw_panel(axes: Axes, term: str, parts: Series) -> None:
    """One term: a line per part."""
    for part, points in parts.items():
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, label=part, marker="." if len(points) < 30 else None, linewidth=1.2)
    axes.set_title(shown(term, 60), parse_math=False)  # a key may hold a dollar
    axes.set_xlabel("step")
    axes.grid(alpha=0.25)
    axes.legend()
