"""Pictures of vectors: samples over real points, and densities as heat maps, in axes that the real data fixes.

Figures are drawn by the Agg canvas alone: no display, no pyplot, no global state.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.atomic import whole_file

MARGIN = 0.08  # of the extent of the data, on each side
DPI = 120
CELLS = 300  # per side of a heat map
REAL, FAKE = "#9aa0ab", "#1f5fbf"

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
    figure = Figure(figsize=(5, 5), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(aspect="equal", xlim=limits[:2], ylim=limits[2:], title=title, xlabel="x₁", ylabel="x₂")
    return figure, axes


def plain(text: str) -> str:
    """Words of somebody's own as matplotlib shows them: a dollar sign is no mathematics."""
    return shown(text).replace("$", r"\$")


def save_figure(path: str | Path, figure: Figure) -> None:
    """The figure as a PNG; raises StorageError where the disk refuses."""
    with whole_file(Path(path)) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # it draws a box, which says as much
        figure.savefig(file, format="png")


def dots(axes: Axes, points: Tensor, colour: str, label: str) -> None:
    """One cloud of points (n, 2), fainter the more there are."""
    size, alpha = (6.0, 0.6) if len(points) <= 2_000 else (2.0, 0.35)
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
    dimensions the title says so. Raises DataError for other shapes and StorageError where the disk refuses.
    """
    samples = in_plane(x)
    background = None if real is None else in_plane(real)
    left, right, bottom, top = limits = limits_of(samples if background is None else background)
    part = [f"first 2 of {x.shape[1]:,} dimensions"] if x.shape[1] > 2 else []
    figure, axes = axes_for(limits, "\n".join([*([title] if title else []), *part]))
    axes.set(**dict(zip(("xlabel", "ylabel"), map(plain, columns), strict=False)))
    if x.shape[1] == 1:
        axes.set(ylabel="", yticks=[])
    if background is not None:
        dots(axes, background, REAL, f"{names[0]} ({len(background):,})")
    inside = (samples >= torch.tensor([left, bottom])) & (samples <= torch.tensor([right, top]))
    outside = int((~inside.all(1)).sum())
    rest = f", {outside:,} outside the picture" if outside else ""
    dots(axes, samples, FAKE, f"{names[1]} ({len(samples):,}{rest})")
    figure.legend(loc="outside lower center", ncols=2, markerscale=3, frameon=False)
    save_figure(path, figure)


def save_density(
    path: str | Path, log_prob: Callable[[Tensor], Tensor], limits: Limits, x: Tensor | None = None, title: str = ""
) -> None:
    """A density on the plane as a heat map, with points x (n, 2) over it if given, as a PNG.

    Args:
        path: Of the PNG.
        log_prob: Points (B, 2) float32 to log p (B,) in nats.
        limits: Left, right, bottom and top of the window.
        x: Points to draw.
        title: Above the picture.
    """
    left, right, bottom, top = limits
    up, across = torch.linspace(bottom, top, CELLS), torch.linspace(left, right, CELLS)
    points = torch.cartesian_prod(up, across).flip(1)  # row by row, each point (across, up)
    density = torch.cat([log_prob(part).detach().cpu() for part in points.split(8192)]).exp().view(CELLS, CELLS)
    figure, axes = axes_for(limits, title)
    axes.imshow(density.numpy(), origin="lower", extent=limits, cmap="viridis", interpolation="bilinear")
    if x is not None:
        dots(axes, in_plane(x), "white", "points")
    save_figure(path, figure)
