"""Series of real numbers as a picture: each one a line over its places, real ones behind."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from genkit.report.scatter import DPI, FAKE, REAL, save_figure

LINES = 16  # drawn of each set


def save_series(
    path: str | Path,
    x: Tensor,
    real: Tensor | None = None,
    title: str = "",
    names: tuple[str, str] = ("real", "samples"),
) -> None:
    """The first series x (n, *shape) over the first real ones (m, *shape), each flattened, as a PNG.

    Raises StorageError where the disk refuses.
    """
    figure = Figure(figsize=(8, 4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=title, xlabel="place", ylabel="value")
    for values, colour, name in ((real, REAL, names[0]), (x, FAKE, names[1])):
        if values is not None:
            lines = values[:LINES].detach().cpu().flatten(1).double().numpy().T
            axes.plot(lines, color=colour, linewidth=0.8, alpha=0.7, label=[name, *["_"] * (lines.shape[1] - 1)])
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    save_figure(path, figure)
