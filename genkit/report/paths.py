"""Paths in the plane: lines through the points of each row, a ring where it begins, real points behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from genkit.report.figure import plain, save_figure
from genkit.report.palette import REAL, colour
from genkit.report.scatter import Limits, axes_for, dots, in_plane, legend_below, limits_of

NAMED = 8  # paths that the legend names


def save_paths(
    path: str | Path,
    rows: Tensor,
    real: Tensor | None = None,
    title: str = "",
    labels: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> None:
    """Paths (R, T, D) over real points (m, D), the first two coordinates, as a PNG.

    Args:
        path: Of the PNG.
        rows: The points of each path, in their order.
        real: Points behind; None for none.
        title: Above the picture.
        labels: A name for each path, or none.
        columns: The names of the dimensions.

    Raises:
        StorageError: the disk refuses.
    """
    lines = in_plane(rows.flatten(0, 1)).unflatten(0, tuple(rows.shape[:2]))
    behind = None if real is None else in_plane(real)
    points = lines.flatten(0, 1)
    limits = limits_of(points if behind is None else torch.cat([behind, _near(points, limits_of(behind))]))
    figure, axes = axes_for(limits, title)
    axes.set(**dict(zip(("xlabel", "ylabel"), map(plain, columns), strict=False)))
    if behind is not None:
        dots(axes, behind, REAL, f"real ({len(behind):,})")
    for i, line in enumerate(lines):
        across, up = line.T.numpy()
        named = f"_{i}" if labels or i else f"paths ({len(lines):,}), from the ring on"  # "_": not in the legend
        named = plain(labels[i]) if labels and i < NAMED else named
        axes.plot(across, up, "-o", color=colour(i), markersize=3.5, linewidth=1.2, label=named)
        axes.plot(across[:1], up[:1], "o", color=colour(i), markersize=9, markerfacecolor="none", label=f"_{i} start")
    legend_below(figure)
    save_figure(path, figure)


def _near(points: Tensor, limits: Limits) -> Tensor:
    """The points (n, 2) that lie in a window twice as wide and high: a path that leaves it would shrink all others."""
    low, high = torch.tensor(limits[::2]), torch.tensor(limits[1::2])
    middle, half = (low + high) / 2, high - low
    return points[((points - middle).abs() <= half).all(1)]
