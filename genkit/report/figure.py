"""A figure with its title, without a display: drawn by the Agg canvas alone, no pyplot, no global state."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from genkit.printing import shown
from genkit.storage.atomic import whole_file

DPI = 120
TITLE = 11  # points of a title
LETTER = 0.56 * TITLE / 72  # inches of a letter of a title, about
MOST_LINES = 3  # of a title


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """An empty figure of a size in inches under its title, which is broken into lines where it is too long."""
    lines = wrapped_title(title, int(width / LETTER))
    figure = Figure(figsize=(width, height + max(0, len(lines) - 1) * 1.3 * TITLE / 72), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    if lines:
        figure.suptitle("\n".join(lines), fontsize=TITLE, parse_math=False)
    return figure


def wrapped_title(title: str, letters: int) -> list[str]:
    """The lines of a title, of at most so many letters each; of a very long one the first lines."""
    lines = [part for line in title.split("\n") for part in textwrap.wrap(line, max(letters, 12))]
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1][:-1]}…"]


def plain(text: str) -> str:
    """Words of somebody's own as matplotlib shows them: a dollar sign is no mathematics."""
    return shown(text).replace("$", r"\$")


def save_figure(path: str | Path, figure: Figure) -> None:
    """The figure as a PNG; raises StorageError where the disk refuses."""
    with whole_file(Path(path)) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # it draws a box, which says as much
        figure.savefig(file, format="png")
