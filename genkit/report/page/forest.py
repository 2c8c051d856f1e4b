"""Scores as forest plots in SVG: a panel per metric, a point with its 95 % interval per source, the floor as a band."""

from __future__ import annotations

import math
from collections.abc import Sequence

from genkit.report.comparison_text import BEATEN, Comparison, against_floor, cell, heading, legend
from genkit.report.marks import mark
from genkit.report.page.axes import WIDE, Axis, written
from genkit.report.page.elements import key, safe, table
from genkit.report.rows import ScoreRow

WIDTH = 400
LINE, TOP, BOTTOM = 34, 6, 26  # a row's height: its name above its interval
SIDE = 10
MOST = 40  # rows of a panel; the best of them


def forests(scores: Comparison) -> str:
    """Panels side by side, "" for no scores."""
    panels = [panel for name, block in scores.items() if (panel := forest(name, block))]
    if not panels:
        return ""
    rows = [row for block in scores.values() for row in block]
    keys = [key(0, "model, 95 % interval")]
    keys += [key(5, "trivial baseline")] if any(row.baseline for row in rows) else []
    floor = '<span class="key"><i class="floor"></i>real against real, ± 2 sd</span>'
    keys += [floor] if any(row.floor is not None for row in rows) else []
    return f'<p class="legend">{"".join(keys)}</p>\n<div class="charts">{"".join(panels)}</div>'


def forest(name: str, block: Sequence[ScoreRow]) -> str:
    """One metric, the best row on top; "" where no value is finite."""
    rows = [row for row in block if row.value is not None][:MOST]
    if not rows:
        return ""
    floor = next((row.floor for row in rows if row.floor is not None), None)
    axis = _axis(rows, floor)
    height = TOP + LINE * len(rows) + BOTTOM
    parts = [_band(axis, floor, height)] if floor is not None else []
    for at in axis.marks:
        x = SIDE + axis.place(at)
        parts.append(f'<line class="rule" x1="{x:g}" x2="{x:g}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(f'<text x="{x:g}" y="{height - 9}" text-anchor="middle">{written(at)}</text>')
    parts += [_row(row, axis, TOP + LINE * i) for i, row in enumerate(rows)]
    title = safe(heading(name, block), 80)
    return f"""<figure class="chart"><figcaption><b>{title}</b></figcaption>
<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">
{"".join(parts)}
</svg></figure>"""


def score_table(scores: Comparison) -> str:
    """Every score as a row, with its interval, the floor and the counts behind it."""
    rows = []
    for name, block in scores.items():
        for row in block:
            floor = "" if row.floor is None else f"{written(row.floor[0])} ± {written(row.floor[1])}"
            counts = ["" if n is None else f"{n:,}" for n in (row.n_fake, row.n_ref)]
            cells = (heading(name, block), row.source, cell(row), floor, against_floor(row), *counts, row.reference)
            rows.append([safe(text, 120) for text in cells])
    headings = ("metric", "source", "value [95 %]", "floor ± sd", "against it", "samples", "real", "reference")
    notes = "".join(f"<p>{safe(line)}</p>" for line in legend(scores))
    return table(rows, headings, kind="scores") + notes


def _axis(rows: Sequence[ScoreRow], floor: tuple[float, float] | None) -> Axis:
    ends = [end for row in rows for end in (row.interval or ())]
    values = [row.value for row in rows if row.value is not None] + ends
    if floor is not None:
        values += [floor[0] - 2 * floor[1], floor[0] + 2 * floor[1]]
    low, high = min(values), max(values)
    if low > 0 and high > WIDE * low:
        return Axis(low / 1.3, high * 1.3, WIDTH - 2 * SIDE, logarithmic=True)
    room = 0.06 * (high - low) or abs(high) * 0.06 or 1.0
    return Axis(low - room, high + room, WIDTH - 2 * SIDE)


def _band(axis: Axis, floor: tuple[float, float], height: float) -> str:
    mean, sd = floor
    left, middle, right = (min(max(axis.place(v), 0.0), axis.length) for v in (mean - 2 * sd, mean, mean + 2 * sd))
    tall, x = height - TOP - BOTTOM, SIDE + middle
    band = f'<rect class="floor" x="{SIDE + left:g}" y="{TOP}" width="{max(right - left, 1):g}" height="{tall}"/>'
    return f'{band}<line class="floor" x1="{x:g}" x2="{x:g}" y1="{TOP}" y2="{TOP + tall}"/>'


def _row(row: ScoreRow, axis: Axis, top: float) -> str:
    assert row.value is not None
    assert math.isfinite(row.value)
    colour, y = ("c5" if row.baseline else "c0"), top + 25
    beaten = f" {BEATEN}" if row.beaten_by is not None else ""
    parts = [f'<text class="name" x="{SIDE}" y="{top + 14}">{safe(row.source, 44)}{beaten}</text>']
    value = f"{mark(row.kind, row.direction)} {written(row.value)}".strip()
    parts.append(f'<text class="name" x="{WIDTH - SIDE}" y="{top + 14}" text-anchor="end">{value}</text>')
    if row.interval is not None:
        left, right = (SIDE + axis.place(end) for end in row.interval)
        parts.append(f'<line class="interval {colour}" x1="{left:g}" x2="{right:g}" y1="{y}" y2="{y}"/>')
    hollow = " hollow" if mark(row.kind, row.direction) else ""
    parts.append(f'<circle class="{colour}{hollow}" cx="{SIDE + axis.place(row.value):g}" cy="{y}" r="4"/>')
    title = f"<title>{safe(row.source, 80)}: {safe(cell(row))}</title>"
    return f"<g>{title}{''.join(parts)}</g>"
