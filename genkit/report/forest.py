"""A comparison as a picture: one panel per metric, a point with its interval per source, the floor as a band."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from genkit.report.comparison import Row
from genkit.report.scatter import DPI, save_figure
from genkit.report.table import ARROWS

COLUMNS = 3
MODEL, BASELINE, FLOOR = "C0", "0.6", "C2"


def save_forest(path: str | Path, table: dict[str, list[Row]]) -> None:
    """The comparison `table` (metric to its rows, best first) as a PNG; raises StorageError where the disk refuses."""
    rows, columns = ceil(len(table) / COLUMNS), min(COLUMNS, len(table))
    height = 0.9 + 0.25 * max(map(len, table.values()))
    figure = Figure(figsize=(4.2 * columns, height * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for i, (name, block) in enumerate(table.items()):
        draw_panel(figure.add_subplot(rows, columns, i + 1), name, block)
    save_figure(path, figure)


def draw_panel(axes: Axes, name: str, block: Sequence[Row]) -> None:
    """One metric; the best row on top."""
    floor = next((row.record["floor"] for row in block if row.record["floor"] is not None), None)
    if floor is not None:
        axes.axvspan(floor["mean"] - 2 * floor["sd"], floor["mean"] + 2 * floor["sd"], color=FLOOR, alpha=0.2, lw=0)
        axes.axvline(floor["mean"], color=FLOOR, lw=1)
    for place, row in enumerate(block):
        colour = BASELINE if row.baseline else MODEL
        axes.plot(row.record["value"], place, "o", color=colour, markersize=5)
        if row.record["ci95"] is not None:
            axes.plot(row.record["ci95"], [place, place], color=colour, lw=1.5)
    axes.set_yticks(range(len(block)), [row.source for row in block])
    axes.invert_yaxis()
    values = [row.record["value"] for row in block]
    if min(values) > 0 and max(values) > 20 * min(values):
        axes.set_xscale("log")
    axes.set_title(f"{name} {ARROWS[block[0].record['direction']]}", fontsize=10)
    axes.grid(axis="x", alpha=0.25)
