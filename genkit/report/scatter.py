"""Pictures of vectors: samples over real points, in axes that the real data fixes; numbers alone as a histogram."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from torch import Tensor

from genkit.errors import DataError
from genkit.report.figure import new_figure, plain, save_figure
from genkit.report.palette import MODEL, REAL

MARGIN = 0.08  # of the extent of the data, on each side
SIDE = 5.0  # inches of a square picture
BINS = 40  # of a histogram
DOT = 28.0  # of the legend, square points
FEW, MANY = 300, 2_000  # points, from which on they are drawn smaller

Limits = tuple[float, float, float, float]  # left, right, bottom, top


def limits_of(points: Tensor) -> Limits:
    """A square window that holds the points (n, 2), with a margin; the unit square about 0 if none is finite."""
    points = points[points.isfinite().all(1)]
    if len(points) == 0:
        return -1.0, 1.0, -1.0, 1.0
    low, high = points.amin(0), points.amax(0)
    half = max(float((high - low).max()) * (0.5 + MARGIN), 1e-6)
    (x, y) = ((low + high) / 2).tolist()
    return x - half, x + half, y - half, y + half


def in_plane(x: Tensor) -> Tensor:
    """Vectors (n, D) to their first two coordinates (n, 2), on the CPU; a line (D = 1) lies on the axis."""
    if x.ndim != 2 or x.shape[1] == 0:
        raise DataError(f"vectors have shape (n, D), these have {tuple(x.shape)}")
    x = x.detach().cpu().to(torch.float64)
    return x[:, :2] if x.shape[1] > 1 else torch.cat([x, torch.zeros_like(x)], dim=1)


def axes_for(limits: Limits, title: str) -> tuple[Figure, Axes]:
    """An empty square figure with equal axes."""
    figure = new_figure(SIDE, SIDE, title)
    axes = figure.add_subplot(aspect="equal", xlim=limits[:2], ylim=limits[2:], xlabel="x₁", ylabel="x₂")
    return figure, axes


def dots(axes: Axes, points: Tensor, colour: str, label: str) -> None:
    """One cloud of points (n, 2), fainter the more there are."""
    size, alpha = (14.0, 0.9) if len(points) <= FEW else (6.0, 0.6) if len(points) <= MANY else (2.0, 0.35)
    across, up = points.T.numpy()
    axes.scatter(across, up, s=size, alpha=alpha, c=colour, linewidths=0, label=label)


def save_scatter(
    path: str | Path,
    x: Tensor,
    real: Tensor | None = None,
    title: str = "",
    names: tuple[str, str] = ("real", "samples"),
    columns: Sequence[str] = (),
) -> None:
    """Samples x (n, D) over real points (m, D), the first two coordinates, as a PNG.

    The axes are equal and fixed by the real points, so that pictures of one run can be compared; what falls outside is
    counted below the picture, where `names` says what both are; `columns` names the dimensions. Of more than two
    dimensions the title says so; of one there is a histogram. Raises DataError for other shapes and StorageError where
    the disk refuses.
    """
    if x.ndim == 2 and x.shape[1] == 1:
        _save_histogram(path, x, real, title, names, columns)
        return
    samples = in_plane(x)
    background = None if real is None else in_plane(real)
    left, right, bottom, top = limits = limits_of(samples if background is None else background)
    part = f"first 2 of {x.shape[1]:,} dimensions" if x.shape[1] > 2 else ""
    figure, axes = axes_for(limits, "\n".join(filter(None, (title, part))))
    axes.set(**dict(zip(("xlabel", "ylabel"), map(plain, columns), strict=False)))
    if background is not None:
        dots(axes, background, REAL, f"{names[0]} ({len(background):,})")
    inside = (samples >= torch.tensor([left, bottom])) & (samples <= torch.tensor([right, top]))
    dots(axes, samples, MODEL, f"{names[1]} ({len(samples):,}{_rest(int((~inside.all(1)).sum()))})")
    legend_below(figure)
    save_figure(path, figure)


def legend_below(figure: Figure) -> None:
    """Explain the colours under the picture, with dots that can be seen whatever the size of the points."""
    for handle in figure.legend(loc="outside lower center", ncols=2, frameon=False).legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([DOT])
            handle.set_alpha(1)


def _rest(outside: int) -> str:
    return f", {outside:,} outside the picture" if outside else ""


def _save_histogram(
    path: str | Path, x: Tensor, real: Tensor | None, title: str, names: tuple[str, str], columns: Sequence[str]
) -> None:
    """Numbers x (n, 1) as a line over the bars of real ones (m, 1), whose range the axis has."""
    samples = in_plane(x)[:, 0].numpy()
    behind = samples if real is None else in_plane(real)[:, 0].numpy()
    finite = behind[np.isfinite(behind)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (-1.0, 1.0)
    room = MARGIN * (high - low) or 0.5
    edges = np.linspace(low - room, high + room, min(BINS, max(8, round(2 * len(behind) ** 0.5))) + 1)
    figure = new_figure(SIDE * 1.3, SIDE * 0.65, title)
    axes = figure.add_subplot(xlabel=plain(columns[0]) if columns else "x", ylabel="share in a bin")
    if real is not None:
        shares = np.histogram(behind, edges)[0] / max(len(behind), 1)
        axes.stairs(shares, edges, color=REAL, fill=True, label=f"{names[0]} ({len(behind):,})")
    counts = np.histogram(samples, edges)[0]
    label = f"{names[1]} ({len(samples):,}{_rest(len(samples) - int(counts.sum()))})"
    axes.stairs(counts / max(len(samples), 1), edges, color=MODEL, linewidth=1.5, label=label)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    save_figure(path, figure)
