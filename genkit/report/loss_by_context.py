"""The costs of tokens over the number of tokens before them, as a curve with its interval.

A model that uses its context falls; where the curve is flat, more context is worth nothing to it. Every context has as
many windows of held-out text behind it, but for the last tokens of documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.axes import Axes
from torch import Tensor

from genkit.metrics.interval import Z
from genkit.report.figure import new_figure, save_figure
from genkit.report.palette import colour as colour_of

POINTS = 64  # of a curve; longer contexts are averaged


def save_loss_by_context(path: str | Path, curves: Mapping[str, Tensor], title: str = "") -> None:
    """Bits (n, T) of tokens by their context, NaN of pads, one curve for each name, as a PNG.

    Raises StorageError where the disk refuses.
    """
    figure = new_figure(6.4, 4.0, title)
    axes = figure.add_subplot()
    for number, (name, bits) in enumerate(curves.items()):
        draw_curve(axes, bits, name, colour_of(number))
    axes.set(xlabel="tokens of context", ylabel="bits per token", ylim=(0, None))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    save_figure(path, figure)


def draw_curve(axes: Axes, bits: Tensor, name: str, colour: str) -> None:
    """One curve with its 95 % band, and its mean over all contexts."""
    place, mean, error = averaged(bits)
    mean_of_all = float(bits[~bits.isnan()].mean())
    axes.plot(place, mean, color=colour, label=f"{name} (95 % interval of the mean; {len(bits):,} windows)")
    axes.fill_between(place, mean - Z * error, mean + Z * error, color=colour, alpha=0.2, linewidth=0)
    axes.axhline(mean_of_all, color=colour, linestyle=":", label=f"mean {mean_of_all:.3f}")


def averaged(bits: Tensor, points: int = POINTS) -> tuple[Tensor, Tensor, Tensor]:
    """The context, the mean bits and their standard error, (P,) each, of bits (n, T) in at most so many groups.

    A window's tokens of one group are averaged first, since they are not independent of each other.
    """
    width = -(-bits.shape[1] // points)
    groups = bits.split(width, 1)
    place = torch.tensor([i * width + (group.shape[1] - 1) / 2 for i, group in enumerate(groups)])
    found = [each[~each.isnan()] for each in (group.nanmean(1) for group in groups)]
    kept = torch.tensor([len(each) > 1 for each in found])
    mean = torch.stack([each.mean() for each in found])
    error = torch.stack([each.std() / len(each) ** 0.5 if len(each) > 1 else each.sum() for each in found])
    return place[kept], mean[kept], error[kept]
