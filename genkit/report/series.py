"""Series of real numbers as a picture: each one a line over its places, real ones behind."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from genkit.report.figure import new_figure, save_figure
from genkit.report.palette import MODEL, REAL

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
    figure = new_figure(8, 4, title)
    axes = figure.add_subplot(xlabel="place", ylabel="value")
    for values, colour, name in ((real, REAL, names[0]), (x, MODEL, names[1])):
        if values is not None:
            lines = values[:LINES].detach().cpu().flatten(1).double().numpy().T
            axes.plot(lines, color=colour, linewidth=0.8, alpha=0.7, label=[name, *["_"] * (lines.shape[1] - 1)])
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    save_figure(path, figure)
