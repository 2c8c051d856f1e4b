"""Quality against evaluations, one line per sampler of one checkpoint: docs/images/sampler_steps.png.

    for sampler in heun dpm_solver …; do
        genkit eval ckpt=RUN sampler=$sampler sweep.sampler.steps=[5,9,18,35] metric=fid out=curves/$sampler
    done
    python scripts/sampler_steps.py heun=curves/heun dpm_solver=curves/dpm_solver … --out docs/images/sampler_steps.png

The folders are what `genkit eval` wrote; the floor is the one that it measured.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from genkit.report.scatter import DPI, save_figure

MARKS, LINES = "osD^vPX*", ("-", "--", "-.")


def points(folder: Path, metric: str) -> list[dict[str, str]]:
    """The rows of one metric of a curve, fewest evaluations first."""
    with (folder / "curve.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["metric"].partition("[")[0] == metric and row["value"] and row["evaluations"]
        ]
    return sorted(rows, key=lambda row: int(row["evaluations"]))


def split(word: str) -> tuple[str, str, str]:
    return word.partition("=")


def draw(axes: Axes, curves: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
    """Draw a line per sampler, with marks and dashes of its own, earlier ones larger, so that equal ones are seen."""
    floors: list[float] = []
    for i, (name, rows) in enumerate(curves.items()):
        x, y = [int(row["evaluations"]) for row in rows], [float(row["value"]) for row in rows]
        style = {"marker": MARKS[i % len(MARKS)], "linestyle": LINES[i % len(LINES)]}
        axes.plot(x, y, label=name, lw=1.6, markersize=10 - 0.7 * i, markerfacecolor="none", **style)
        floors += [float(row["floor"]) for row in rows if row["floor"]]
    if floors:
        axes.axhline(floors[0], color="0.5", linestyle=":", label="real against real")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set(yscale="log", xlabel="evaluations of the network per sample")
    axes.grid(alpha=0.25, which="both")
    axes.legend(fontsize=8)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", nargs="+", metavar="NAME=FOLDER", help="a sampler's name and its folder of scores")
    parser.add_argument("--metric", default="fid")
    parser.add_argument("--out", type=Path, required=True, help="the PNG")
    options = parser.parse_args(argv)
    figure = Figure(figsize=(7, 4.5), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    curves = {name: points(Path(folder), options.metric) for name, _, folder in map(split, options.curves)}
    draw(axes, curves)
    axes.set_ylabel(options.metric)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_figure(options.out, figure)


if __name__ == "__main__":
    main()
