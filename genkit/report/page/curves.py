"""Curves of a training as SVG: a chart per term, training as a line, validation as points, colours per phase or run.

What stands in the page is what is drawn; the script reads the values under the pointer back from the drawing, by the
ends of the axes in the attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genkit.report.page.axes import Axis, short, values_axis, written
from genkit.report.page.elements import key, safe
from genkit.report.page.thinning import Point, thinned

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 34
MOST_CURVES = 24  # in a chart
FEW = 40  # points that are marked one by one


@dataclass(frozen=True)
class ChartLine:
    """One line of a chart.

    Attributes:
        name: In the legend; "" for a curve that the title names.
        points: (step, value), finite, by step.
        colour: Number of its colour.
        measured: Whether it is marked at each point and dashed, as a validation is.
    """

    name: str
    points: Sequence[Point]
    colour: int = 0
    measured: bool = False


def chart(title: str, curves: Sequence[ChartLine], last: float = 1.0, horizon: str = "step") -> str:
    """A figure of curves over the step; "" where none has a point.

    Args:
        title: The vertical axis, plain text.
        curves: Those without points are left out, and those beyond 24.
        last: A step that the horizontal axis reaches at least.
        horizon: What that axis shows.
    """
    drawn = [curve for curve in curves if curve.points]
    shown, left = drawn[:MOST_CURVES], len(drawn) - MOST_CURVES
    if not shown:
        return ""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    steps = [x for curve in shown for x, _ in curve.points]
    x_axis = Axis(min(0.0, *steps), max(*steps, last) * 1.01, width)
    y_axis = values_axis([curve.points for curve in shown], height)
    lines = "\n".join(_line(curve, x_axis, y_axis) for curve in shown)
    legend = "".join(key(curve.colour, safe(curve.name, 80), curve.measured) for curve in shown if curve.name)
    notes = ["its start lies outside"] if y_axis.cut else []
    notes += [f"{left:,} more are not drawn"] if left > 0 else []
    small = f"<small>{'; '.join(notes)}</small>" if notes else ""
    ends = f'data-x="{x_axis.low!r} {x_axis.high!r}" data-y="{y_axis.low!r} {y_axis.high!r}"'
    scale = " data-log" if y_axis.logarithmic else ""
    return f"""<figure class="chart"><figcaption><b>{safe(title, 80)}</b> {legend}{small}</figcaption>
<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{safe(title, 80)} over the {safe(horizon)}">
{_frame(x_axis, y_axis, horizon)}
<svg class="plot" x="{LEFT}" y="{TOP}" width="{width}" height="{height}" {ends}{scale}>
{lines}
<line class="cursor" y1="0" y2="{height}" x1="-9" x2="-9"/>
<rect class="touch" width="{width}" height="{height}"/>
</svg>
</svg>
<output class="reading">&nbsp;</output></figure>"""


def charts(panels: Mapping[str, Sequence[ChartLine]]) -> str:
    """Charts side by side, as many as the screen is wide; "" where there are none."""
    last = max((x for curves in panels.values() for curve in curves for x, _ in curve.points[-1:]), default=1.0)
    figures = [figure for title, curves in panels.items() if (figure := chart(title, curves, last))]
    return '<div class="charts">' + "\n".join(figures) + "</div>" if figures else ""


def _line(curve: ChartLine, x_axis: Axis, y_axis: Axis) -> str:
    points = [(x_axis.place(x), y_axis.place(y)) for x, y in thinned(curve.points)]
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    kind = f'class="c{curve.colour % 6}{" dashed" if curve.measured else ""}" data-name="{safe(curve.name, 80)}"'
    marked = points if len(points) == 1 or (curve.measured and len(points) <= FEW) else []
    dots = "".join(f'<circle class="c{curve.colour % 6}" cx="{x:g}" cy="{y:g}" r="2.6"/>' for x, y in marked)
    return f'<polyline {kind} points="{path}"/>{dots}'


def _frame(x_axis: Axis, y_axis: Axis, horizon: str) -> str:
    parts = []
    for mark in y_axis.marks:
        y = TOP + y_axis.place(mark)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:g}" y2="{y:g}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 3.5:g}" text-anchor="end">{written(mark)}</text>')
    for mark in x_axis.marks:
        x = LEFT + x_axis.place(mark)
        parts.append(f'<text x="{x:g}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{short(mark)}</text>')
    middle = LEFT + x_axis.length / 2
    parts.append(f'<text x="{middle:g}" y="{HEIGHT - 4}" text-anchor="middle">{safe(horizon)}</text>')
    return "\n".join(parts)
