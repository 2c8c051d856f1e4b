"""A table of how well scores tell outliers from normal examples: a row for each set, a column for each score.

    AUROC               nll     typicality       nearest
    flipped_lr   0.91 ±0.02     0.80 ±0.02   0.92 ±0.01
    blank        0.00 ±0.00 !   1.00 ±0.00   1.00 ±0.00

The half-width of the 95 % interval stands behind each value. One that lies below 1/2 with all of its interval is
marked: such a score takes outliers for more normal than normal examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

CHANCE = 0.5
WIDEST = 1000  # columns of a terminal
TITLES = {"value": "AUROC", "average_precision": "average precision"}
INTERVALS = {"value": "ci95", "average_precision": "average_precision_ci95"}


def print_separations(
    console: Console, title: str, rows: Sequence[Mapping[str, Any]], words: Mapping[str, str], fooled: Sequence[str]
) -> None:
    """Print both tables, what the scores are, and which sets are known to fool a likelihood.

    Args:
        console: Where.
        title: Above them.
        rows: "score", "against", "value", "ci95", "average_precision", "average_precision_ci95" each.
        words: Score -> what it is.
        fooled: Sets that are known to fool a raw likelihood.
    """
    console.print(Text(title, style="bold"), soft_wrap=True)
    if rows:
        for key in TITLES:
            shown = _table(rows, key)
            # no figure is cut: a terminal that is narrower breaks the line
            wide = console.options.update_width(
                max(console.width, Measurement.get(console, console.options.update_width(WIDEST), shown).maximum)
            )
            console.print(Segments(console.render(shown, wide)), crop=False, end="")
    for name, what in words.items():
        console.print(Text(f"{name}: {what}", style="dim"), soft_wrap=True)
    below = list(dict.fromkeys(row["against"] for row in rows if row["score"] == "nll" and _is_below(row)))
    if below:
        known = [name for name in below if name in fooled]
        why = f" (a known failure of likelihoods: {', '.join(known)})" if known else ""
        console.print(
            Text(f"! more normal than the data by nll: {', '.join(below)}{why}", style="yellow"), soft_wrap=True
        )


def _table(rows: Sequence[Mapping[str, Any]], key: str) -> Table:
    out = Table(box=None, pad_edge=False)
    scores = list(dict.fromkeys(row["score"] for row in rows))
    out.add_column(TITLES[key], no_wrap=True)
    for score in scores:
        out.add_column(score, justify="right", no_wrap=True)
    cells = {(row["against"], row["score"]): row for row in rows}
    for against in dict.fromkeys(row["against"] for row in rows):
        out.add_row(f"  {against}", *(_cell(cells[against, score], key) for score in scores))
    return out


def _cell(row: Mapping[str, Any], key: str) -> Text:
    interval = row[INTERVALS[key]]
    half = "" if interval is None else f" ±{(interval[1] - interval[0]) / 2:.2f}"
    wrong = key == "value" and _is_below(row)
    return Text(f"{row[key]:.2f}{half} {'!' if wrong else ' '}", style="yellow" if wrong else "")


def _is_below(row: Mapping[str, Any]) -> bool:
    return bool((row["ci95"] or (row["value"],) * 2)[1] < CHANCE)
