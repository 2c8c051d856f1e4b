"""A comparison as a picture: one panel per metric, a point with its interval per source, the floor as a band."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from genkit.printing import shortened
from genkit.report.comparison_text import BEATEN, Comparison, heading
from genkit.report.figure import new_figure, save_figure
from genkit.report.marks import mark
from genkit.report.palette import BASELINE, FLOOR, MODEL
from genkit.report.rows import ScoreRow

COLUMNS = 3
BETTER = {"min": "lower is better", "max": "higher is better"}
LONGEST = 40  # characters of a name
TITLE = 90  # characters of the title
MOST = 60  # rows of a panel; the best of them


def save_forest(path: str | Path, table: Comparison, title: str = "") -> None:
    """The comparison `table` (metric to its rows, best first) as a PNG; raises StorageError where the disk refuses."""
    columns = columns_of(len(table))
    rows = ceil(len(table) / columns)
    height = 1.0 + 0.25 * min(MOST, max(map(len, table.values())))
    references = dict.fromkeys(row.reference for block in table.values() for row in block if row.reference)
    title = title or shortened(f"scores against {', '.join(references)}", TITLE)
    figure = new_figure(max(4.6 * columns, 6.5), (height + 0.2) * rows + 0.5, title)
    for i, (name, block) in enumerate(table.items()):
        draw_panel(figure.add_subplot(rows, columns, i + 1), name, block)
    entries = legend_entries([row for block in table.values() for row in block])
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": 5 if columns > 1 else 2}
    figure.legend(handles=entries, fontsize=8, frameon=False, **place)
    save_figure(path, figure)


def columns_of(panels: int) -> int:
    """The number of columns that leaves the fewest places empty: four panels stand in two rows of two."""
    return panels if panels <= COLUMNS else min((COLUMNS, COLUMNS - 1), key=lambda columns: -panels % columns)


def draw_panel(axes: Axes, name: str, block: Sequence[ScoreRow]) -> None:
    """One metric; the best row on top, in the order of the tables."""
    floor = next((row.floor for row in block if row.floor is not None), None)
    if floor is not None:
        axes.axvspan(floor[0] - 2 * floor[1], floor[0] + 2 * floor[1], color=FLOOR, alpha=0.2, lw=0)
        axes.axvline(floor[0], color=FLOOR, lw=1)
    shown_rows = block[:MOST]
    for place, row in enumerate(shown_rows):
        if row.value is None:
            continue
        colour = BASELINE if row.baseline else MODEL
        face = "white" if mark(row.kind, row.direction) else colour
        if row.interval is not None:
            axes.plot(row.interval, [place, place], color=colour, lw=1.5)
        axes.plot(row.value, place, "o", color=colour, markersize=5, markerfacecolor=face)
    axes.set_yticks(range(len(shown_rows)), list(map(label, shown_rows)), parse_math=False)
    axes.set_ylim(len(shown_rows) - 0.5, -0.5)
    values = [row.value for row in shown_rows if row.value is not None]
    if values and min(values) > 0 and max(values) > 20 * min(values):
        axes.set_xscale("log")
    axes.set_title(heading(name, block), fontsize=10, parse_math=False)
    axes.set_xlabel(BETTER.get(block[0].direction, "score"), fontsize=8)
    axes.grid(axis="x", alpha=0.25)


def legend_entries(rows: Sequence[ScoreRow]) -> list[Artist]:
    """The meaning of the points, bands and signs, of those that occur."""
    dot: dict[str, Any] = {"marker": "o", "markersize": 5}
    entries: dict[Artist, bool] = {
        Line2D([], [], color=MODEL, lw=1.5, label="model, 95 % interval", **dot): True,
        Line2D([], [], color=MODEL, lw=0, mfc="white", label="bound (≤, ≥) or estimate (≈)", **dot): any(
            mark(row.kind, row.direction) for row in rows
        ),
        Line2D([], [], color=BASELINE, lw=1.5, label="baseline", **dot): any(row.baseline for row in rows),
        Patch(color=FLOOR, alpha=0.3, lw=0, label="real against real, mean ± 2 sd"): any(row.floor for row in rows),
        Line2D([], [], lw=0, label=f"{BEATEN} worse than a trivial baseline"): any(row.beaten_by for row in rows),
    }
    return [entry for entry, occurs in entries.items() if occurs]


def label(row: ScoreRow) -> str:
    """ "#1 vae", with the sign of a bound or an estimate; "vae (not finite)"."""
    name = row.source if len(row.source) <= LONGEST else f"{row.source[: LONGEST - 1]}…"
    if row.value is None:
        return f"{name} (not finite)"
    sign, rank = mark(row.kind, row.direction), "" if row.rank is None else f"#{row.rank} "
    return f"{rank}{name}{' ' * bool(sign)}{sign}{'' if row.beaten_by is None else ' ' + BEATEN}"
