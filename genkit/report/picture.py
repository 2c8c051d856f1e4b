"""Plots of a set of samples of any data: images, points, lines, rows of tokens, text, or the columns of a table."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL.Image import Image
from PIL.Image import open as open_image
from torch import Tensor

from genkit.data.kinds import Drawing
from genkit.data.spec import DataSpec
from genkit.report.grid import save_grid, save_pairs
from genkit.report.tokens import save_tokens

PICTURES: dict[Drawing, str] = {
    "grid": "grid.png",
    "scatter": "scatter.png",
    "series": "series.png",
    "tokens": "tokens.png",
    "table": "columns.png",
    "text": "text.png",
}


FIRST, CLOSEST = "one of the first", "one of the closest"  # samples beside their neighbours


def picture_name(spec: DataSpec) -> str:
    """ "grid.png", "scatter.png", "series.png", "tokens.png", "columns.png" or "text.png"."""
    return PICTURES[spec.drawing]


def draw(
    path: str | Path,
    x: Tensor,
    spec: DataSpec,
    real: Tensor | None = None,
    title: str = "",
    names: tuple[str, str] = ("real", "samples"),
) -> None:
    """Samples x (n, *spec.shape) in model units as a PNG.

    Args:
        path: Of the PNG; it appears whole or not at all.
        x: One sample or more.
        spec: The data.
        real: Real data in model units, which fixes the axes of a scatter plot and stands beside text; images and tokens
            do without.
            A table is drawn beside the shares in its training rows, which its spec knows.
        title: Above it: model, data and step.
        names: What a plot calls the real data and x.

    Raises:
        DataError: x has another shape.
        StorageError: the file cannot be written.
    """
    match spec.drawing:
        case "grid":
            save_grid(path, x, spec, title=title)
        case "tokens":
            save_tokens(path, x, spec, title=title)
        case "text":
            from genkit.report.text import save_text

            save_text(path, x, spec, title, real, names)
        case "table":
            from genkit.report.columns import save_columns

            save_columns(path, x, spec, real, title, names)
        case "series":
            from genkit.report.series import save_series

            save_series(path, x, real, title, names)
        case "scatter":
            from genkit.report.scatter import save_scatter  # matplotlib costs half a second, which images need not pay

            save_scatter(path, x, real, title, names, axis_names(spec))


def axis_names(spec: DataSpec) -> tuple[str, ...]:
    """The names of the dimensions of vectors, and that they are not in the data's units where they are not."""
    columns = spec.names or ("x₁", "x₂")
    return tuple(f"{name}, standardised" for name in columns) if spec.kind.log_volume else columns


def picture_of(x: Tensor, spec: DataSpec, title: str = "", real: Tensor | None = None) -> Image:
    """The picture that `draw` would write, as an image of Pillow's."""
    with tempfile.TemporaryDirectory(prefix="genkit-picture-") as folder:
        path = Path(folder, picture_name(spec))
        draw(path, x, spec, real=real, title=title)
        with open_image(path) as image:
            return image.copy()


def draw_pairs(path: str | Path, x: Tensor, reconstruction: Tensor, spec: DataSpec, title: str = "") -> None:
    """Originals x (n, *spec.shape) and their reconstructions as a PNG: one above the other, or one over the other."""
    if spec.drawing == "grid":
        save_pairs(path, x, reconstruction, spec, title=title)
    elif spec.drawing in ("tokens", "text"):
        draw(path, torch.stack([x, reconstruction], 1).flatten(0, 1), spec, title=title)
    else:
        draw(path, reconstruction, spec, real=x, title=title, names=("original", "reconstructions"))


def draw_neighbours(path: str | Path, first: Tensor, closest: Tensor, spec: DataSpec, title: str = "") -> None:
    """Two blocks one above the other as a PNG: first samples, then the closest ones, each with its neighbours.

    Both are images (R, 1 + K, *spec.shape) in model units.
    """
    labels = [*[FIRST] * len(first), *[CLOSEST] * len(closest)]
    heads = ["sample", *(f"nearest {k}" for k in range(1, first.shape[1]))]
    draw_rows(path, torch.cat([first, closest]), spec, title=title, labels=labels, heads=heads)


def draw_rows(
    path: str | Path,
    rows: Tensor,
    spec: DataSpec,
    real: Tensor | None = None,
    title: str = "",
    labels: Sequence[str] = (),
    heads: Sequence[str] = (),
) -> None:
    """Rows (n, T, *spec.shape) as a PNG: one below the other, with labels of rows and heads of columns if there are
    any, or as lines in the plane over real points (m, *spec.shape).
    """
    if spec.drawing == "grid":
        save_grid(path, rows.flatten(0, 1), spec, columns=rows.shape[1], title=title, rows=labels, heads=heads)
    elif spec.drawing == "scatter" and spec.dim > 1:
        from genkit.report.paths import save_paths

        save_paths(path, rows, real, title, labels, axis_names(spec))
    else:
        draw(path, rows.flatten(0, 1), spec, real=real, title=title, names=("real", "paths"))
