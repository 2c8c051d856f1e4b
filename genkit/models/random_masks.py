r"""Parts of examples to be known in training a model that completes them.

A model that is to complete anything must have seen anything known. Of an image that is

* a side: all that lies above, below, left or right of a line through the image, most often one near its middle;
* as often a box, or all around one, its corners anywhere;
* half as often, since they tell more, a random share of the pixels;

of a vector or a row of a table a random share of the columns, and of some examples nothing, so that the model remains
one of whole examples. Widths of the parts are uniform, but for sides: (u₁ + u₂) / 2.

References: Palette: Image-to-Image Diffusion Models (Saharia et al. 2021, 2111.05826), which draws boxes and strokes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.batch_noise import uniform
from genkit.data.spec import DataSpec

NUMBERS = 6  # uniform numbers that an image's part is drawn from, beside those of its pixels


def random_masks(spec: DataSpec, n: int, nothing: float, device: torch.device) -> Tensor:
    """Bool (n, *shape), which values are known of each of a training batch's examples.

    Args:
        spec: The data.
        n: Examples.
        nothing: Share of examples of which nothing is known.
        device: Of the masks.
    """
    u = uniform(n, NUMBERS, device=device)
    some = uniform(n, device=device) >= nothing
    known = _of_images(spec, u, device) if spec.modality == "image" else _of_columns(spec, u, device)
    return known & some.reshape(-1, *[1] * (known.ndim - 1))


def _of_images(spec: DataSpec, u: Tensor, device: torch.device) -> Tensor:
    _, height, width = spec.shape
    kind = (2.5 * u[:, 0]).long()[:, None, None]
    pixels = uniform(len(u), height, width, device=device) < u[:, 1, None, None]
    known = torch.where(kind == 0, _sides(u, height, width), torch.where(kind == 1, _boxes(u, height, width), pixels))
    return known[:, None].expand(-1, *spec.shape)


def _sides(u: Tensor, height: int, width: int) -> Tensor:
    """Bool (n, height, width): above, below, left or right of a line, by u (n, NUMBERS)."""
    rows, columns = _centres(u, height, width)
    which = (4 * u[:, 1]).long()[:, None, None]
    line = (u[:, 2] + u[:, 3])[:, None, None] / 2
    at = torch.where(which < 2, rows, columns)
    return torch.where(which % 2 == 0, at < line, at >= line)


def _boxes(u: Tensor, height: int, width: int) -> Tensor:
    """Bool (n, height, width): inside a box, or outside of one, by u (n, NUMBERS)."""
    rows, columns = _centres(u, height, width)
    (top, bottom), (left, right) = (u[:, at : at + 2].sort(1).values.T[..., None, None] for at in (2, 4))
    inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    return inside ^ (u[:, 1, None, None] < 0.5)


def _centres(u: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """(height, 1) and (width,): where pixels are, as shares of the image's sides."""
    rows, columns = ((torch.arange(size, device=u.device) + 0.5) / size for size in (height, width))
    return rows[:, None], columns


def _of_columns(spec: DataSpec, u: Tensor, device: torch.device) -> Tensor:
    """Bool (n, *shape): a share of the columns; all values of a table's column together."""
    widths = spec.kind.groups(spec.dim)
    columns = uniform(len(u), len(widths), device=device) < u[:, :1]
    return columns.repeat_interleave(torch.tensor(widths, device=device), 1)
