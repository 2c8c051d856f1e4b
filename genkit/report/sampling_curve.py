"""Scores of one checkpoint over a setting of sampling: quality, diversity and cost, as CSV and picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from genkit.evaluation.record import Record
from genkit.report.forest import columns_of
from genkit.report.scatter import DPI, save_figure
from genkit.report.table import ARROWS
from genkit.storage.atomic import whole_file

FIELDS = (
    "metric",
    "value",
    "lo",
    "hi",
    "floor",
    "direction",
    "evaluations",
    "seconds_per_1000",
    "n_fake",
    "status",
    "kind",
)


@dataclass(frozen=True)
class Curve:
    """A knob and the records at each of its values.

    Attributes:
        key: "sampler.steps".
        points: (value of the knob, record), in the order of the values.
    """

    key: str
    points: Sequence[tuple[float, Record]]

    def of(self, name: str) -> list[tuple[float, Record]]:
        """The scored points of one metric."""
        return [(x, record) for x, record in self.points if record.name == name and record.value is not None]

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(record.name for _, record in self.points if record.value is not None))


def write_curve(path: Path, curve: Curve) -> None:
    """One line per value of the knob and metric; raises StorageError where it cannot be written."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [curve.key, *FIELDS], lineterminator="\n")
    writer.writeheader()
    for x, record in curve.points:
        lo, hi = record.ci95 or (None, None)
        own = {curve.key: x, "metric": record.name, "lo": lo, "hi": hi}
        own["floor"] = None if record.floor is None else record.floor.mean
        writer.writerow({**{field: getattr(record, field, None) for field in FIELDS}, **own})
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def save_curve(path: Path, curve: Curve) -> None:
    """One panel per metric and one for the cost, as a PNG; raises StorageError where the disk refuses."""
    count = len(curve.names) + 1
    columns = columns_of(count)
    rows = ceil(count / columns)
    figure = Figure(figsize=(3.6 * columns, 2.8 * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for i, name in enumerate(curve.names):
        draw_metric(figure.add_subplot(rows, columns, i + 1), curve.of(name), curve.key)
    draw_cost(figure.add_subplot(rows, columns, count), curve)
    save_figure(path, figure)


def draw_metric(axes: Axes, points: Sequence[tuple[float, Record]], key: str) -> None:
    """A metric over the knob with its intervals; real against real as a band."""
    x, records = [x for x, _ in points], [record for _, record in points]
    if (floor := records[0].floor) is not None:
        axes.axhspan(floor.mean - 2 * floor.sd, floor.mean + 2 * floor.sd, color="C2", alpha=0.2, lw=0)
    axes.plot(x, [float(record.value or 0.0) for record in records], "o-", markersize=4)
    if all(record.ci95 is not None for record in records):
        ends = [record.ci95 for record in records if record.ci95 is not None]
        axes.fill_between(x, [lo for lo, _ in ends], [hi for _, hi in ends], alpha=0.2)
    axes.set_title(f"{records[0].name} {ARROWS[records[0].direction]}", parse_math=False)
    axes.set_xlabel(key)
    axes.grid(alpha=0.25)


def draw_cost(axes: Axes, curve: Curve) -> None:
    """Seconds per 1,000 samples over the knob."""
    costs = {x: record.seconds_per_1000 for x, record in curve.points if record.seconds_per_1000 is not None}
    axes.plot(list(costs), list(costs.values()), "s-", color="0.3", markersize=4)
    axes.set(title="seconds per 1,000 samples ↓", xlabel=curve.key, ylim=(0, None))
    axes.grid(alpha=0.25)
