"""Pictures of tables: the distribution of each column in samples beside that in real rows.

Where no real rows are given, the shares in the training rows stand beside the samples: the spec of a table knows them.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.tables.codes import Floats
from genkit.data.tables.forms import DateForm, LevelForm
from genkit.data.tables.kind import Tabular
from genkit.data.tables.table_spec import Column
from genkit.errors import DataError
from genkit.report.figure import new_figure, plain, save_figure
from genkit.report.palette import MODEL, REAL

MOST = 24  # columns of a picture
ACROSS = (4, 5, 3)  # panels in a row: of these the number that leaves the fewest places empty
BARS = 12  # values that have a bar of their own
LEAST_BINS, BINS = 6, 24
KNOWN = 2_000  # rows that stand for the shares in the training rows
LONGEST = 14  # characters of a level


def save_columns(
    path: str | Path,
    x: Tensor,
    spec: DataSpec,
    real: Tensor | None = None,
    title: str = "",
    names: tuple[str, str] = ("real", "samples"),
) -> None:
    """Rows x (n, D) over real ones (m, D), both in model units, a panel for each of the first 24 columns, as a PNG.

    Raises:
        DataError: no table.
        StorageError: the disk refuses.
    """
    if not isinstance(spec.kind, Tabular) or x.ndim != 2 or x.shape[1] != spec.dim:
        raise DataError(f"rows of a table have shape (n, {spec.dim}), these have {tuple(x.shape)}")
    table, samples = spec.kind.table, spec.kind.cells(x)
    known = table.marginals(KNOWN) if real is None else spec.kind.cells(real)
    said = "training rows" if real is None else f"{names[0]} ({len(known):,})"
    columns = table.columns[:MOST]
    across = min(len(columns), min(ACROSS, key=lambda wide: -len(columns) % wide))
    down = -(-len(columns) // across)
    part = f"first {MOST} of {len(table.columns):,} columns" if len(table.columns) > MOST else ""
    width = max(3.2 * across, 5.5)
    figure = new_figure(width, 0.6 + 2.1 * down, "\n".join(filter(None, (title, part))))
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for i, panel in enumerate(panels):
        if i < len(columns):
            _panel(panel, columns[i], known[:, i], samples[:, i])
        else:
            panel.set_axis_off()
    figure.supylabel("share of rows", fontsize=9)
    marks = [Patch(color=REAL, label=said), Patch(color=MODEL, label=f"{names[1]} ({len(samples):,})")]
    figure.legend(handles=marks, loc="outside lower center", ncols=2, frameon=False)
    save_figure(path, figure)


def _panel(axes: Axes, column: Column, real: Floats, fake: Floats) -> None:
    axes.set_title(plain(column.name)[:40], fontsize=9)
    axes.tick_params(labelsize=7)
    axes.set_yticks([])
    present = real[~np.isnan(real)]
    values = np.unique(present)
    if isinstance(column.form, LevelForm) or (len(values) <= BARS and len(np.unique(fake[~np.isnan(fake)])) <= BARS):
        _bars(axes, column, real, fake, values)
        return
    bins = min(BINS, max(LEAST_BINS, round(2 * min(len(real), len(fake)) ** 0.5)))  # few rows fill few bins
    edges = np.histogram_bin_edges(present, bins)
    for cells, colour, filled in ((real, REAL, True), (fake, MODEL, False)):
        here = cells[~np.isnan(cells)]
        shares, _ = np.histogram(here, edges)
        axes.stairs(shares / max(len(cells), 1), edges, color=colour, fill=filled)
    if isinstance(column.form, DateForm):
        ends = [present.min(), present.max()]
        axes.set_xticks(ends, [plain(column.form.write(end)) for end in ends])


def _bars(axes: Axes, column: Column, real: Floats, fake: Floats, values: Floats) -> None:
    """Shares of the values, the most frequent ones of many, and of missing cells."""
    if len(values) > BARS:
        counts = np.array([(real == value).sum() for value in values])
        values = np.sort(values[np.argsort(-counts, kind="stable")[:BARS]])
    shown = [*values.tolist(), *([math.nan] if column.missing is not None else [])]
    for cells, colour, shift in ((real, REAL, -0.2), (fake, MODEL, 0.2)):
        shares = [np.isnan(cells).mean() if math.isnan(value) else (cells == value).mean() for value in shown]
        axes.bar(np.arange(len(shown)) + shift, shares, 0.4, color=colour)
    labels = ["missing" if math.isnan(value) else plain(column.form.write(value)) for value in shown]
    labels = [label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…" for label in labels]
    slanted = max(map(len, labels), default=0) * len(labels) > 30
    axes.set_xticks(range(len(shown)), labels, rotation=60 if slanted else 0, ha="right" if slanted else "center")
