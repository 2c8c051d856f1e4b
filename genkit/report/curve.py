"""Loss curves from a run's metrics.jsonl: one panel per term, training and validation over each other.

A line of metrics.jsonl is a JSON object with the integer "step" and any of "train/NAME", "val/NAME" and others; a last
line that a kill cut short is left out.
"""

import json
from math import ceil
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from genkit.errors import DataError
from genkit.printing import shown
from genkit.report.figure import new_figure, save_figure
from genkit.report.grid import columns_for
from genkit.report.page.axes import short
from genkit.report.palette import colour as colour_of
from genkit.storage.regular import read_regular

Series = dict[str, list[tuple[int, float]]]  # key -> (step, value)
Row = dict[str, Any]
LARGEST = 2**28  # bytes
LARGEST_NUMBER = 1e300  # what can be drawn; NaN is not below it
STAGES = {"train": "training", "val": "validation"}
LONGEST = 36  # letters of a name
MARKED = 60  # validations that are marked one by one
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


def save_loss_curves(path: str | Path, metrics: str | Path, title: str = "") -> bool:
    """The losses of a training as a PNG: one panel per term, every phase in it, training and validation together.

    Returns False, and draws nothing, before anything of the training was logged. Raises DataError where the file
    `metrics` is missing or damaged and StorageError where the disk refuses.
    """
    series = {key: points for key, points in read_series(metrics).items() if key.split("/")[0] in STAGES}
    if not any(key.startswith("train/") for key in series):
        return False
    panels = dict(sorted(panels_of(series).items(), key=lambda panel: panel[0] != "loss"))  # what is minimised first
    columns = columns_for(len(panels))
    rows = ceil(len(panels) / columns)
    figure = new_figure(max(4.4 * columns, 5.5), 3.2 * rows, title)
    last = max(step for points in series.values() for step, _ in points)
    for i, (term, parts) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, i + 1, xlim=(0, 1.04 * last))
        draw_losses(axes, term, parts)
    lines = {str(line.get_label()): line for axes in figure.axes for line in axes.get_lines()}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=min(4, 2 * columns), frameon=False)
    save_figure(path, figure)
    return True


def draw_losses(axes: Axes, term: str, parts: Series) -> None:
    """One term: a colour per phase, its training as a line, its validation as points; a wide range in powers of ten."""
    phases = list(dict.fromkeys(part.partition("/")[2] for part in parts))
    for part, points in parts.items():
        stage, _, phase = part.partition("/")
        steps, values = zip(*points, strict=True)
        colour = colour_of(phases.index(phase))
        label = shown(" ".join(word for word in (phase, STAGES[stage]) if word), LONGEST)
        if stage == "train":
            alone = "." if len(points) == 1 else None  # a line of one point cannot be seen
            axes.plot(steps, values, color=colour, label=label, linewidth=1.2, alpha=0.75, marker=alone)
        else:
            marks = "o" if len(points) <= MARKED else None
            axes.plot(steps, values, color=colour, label=label, linestyle="--", marker=marks, markersize=4)
    numbers = [value for points in parts.values() for _, value in points]
    if min(numbers) > 0 and max(numbers) > WIDE * min(numbers):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel(shown(term.replace("_", " "), LONGEST), parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: short(step)))
    axes.grid(alpha=0.25)
