"""Scores of one checkpoint over a setting of sampling: quality, diversity and cost, as CSV and picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from genkit.evaluation.record import Record
from genkit.report.figure import new_figure, save_figure
from genkit.report.forest import columns_of
from genkit.report.palette import FLOOR, MODEL
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


def save_curve(path: Path, curve: Curve, title: str = "") -> None:
    """One panel per metric and one for the cost, as a PNG; raises StorageError where the disk refuses."""
    count = len(curve.names) + 1
    columns = columns_of(count)
    rows = ceil(count / columns)
    figure = new_figure(max(3.6 * columns, 5.5), 2.8 * rows + 0.4, title)
    for i, name in enumerate(curve.names):
        draw_metric(figure.add_subplot(rows, columns, i + 1), curve.of(name), curve.key)
    draw_cost(figure.add_subplot(rows, columns, count), curve)
    meaning: dict[str, Artist] = {}
    for axes in figure.axes:
        marks, names = axes.get_legend_handles_labels()
        meaning |= dict(zip(names, marks, strict=True))
    figure.legend(meaning.values(), meaning.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    save_figure(path, figure)


def draw_metric(axes: Axes, points: Sequence[tuple[float, Record]], key: str) -> None:
    """A metric over the knob with its intervals; real against real as a band."""
    x, records = [x for x, _ in points], [record for _, record in points]
    if (floor := records[0].floor) is not None:
        axes.axhspan(floor.mean - 2 * floor.sd, floor.mean + 2 * floor.sd, color=FLOOR, alpha=0.2, lw=0,
                     label="real against real, mean ± 2 sd")  # fmt: skip
    axes.plot(x, [float(record.value or 0.0) for record in records], "o-", color=MODEL, markersize=4, label="score")
    if all(record.ci95 is not None for record in records):
        ends = [record.ci95 for record in records if record.ci95 is not None]
        axes.fill_between(x, [lo for lo, _ in ends], [hi for _, hi in ends], color=MODEL, alpha=0.2, lw=0,
                          label="95 % interval")  # fmt: skip
    axes.set_ylabel(f"{records[0].name} {ARROWS[records[0].direction]}", parse_math=False)
    axes.set_xlabel(key, parse_math=False)
    axes.grid(alpha=0.25)


def draw_cost(axes: Axes, curve: Curve) -> None:
    """Seconds per 1,000 samples over the knob."""
    costs = {x: record.seconds_per_1000 for x, record in curve.points if record.seconds_per_1000 is not None}
    axes.plot(list(costs), list(costs.values()), "s-", color="0.3", markersize=4)
    axes.set(ylabel="seconds per 1,000 samples ↓", ylim=(0, None))
    axes.set_xlabel(curve.key, parse_math=False)
    axes.grid(alpha=0.25)
