"""Pairs made of single images: what remains of an image when something is taken from it, to be undone by a model.

* blur: a Gaussian blur of a pixel and a half at 8 pixels across, in proportion at other sizes.
* low_resolution: means of blocks a quarter as wide as the image has blocks of pixels (2x2 at 8x8, 4x4 above), enlarged
  again without interpolation.
* edges: the size of the gradient between neighbouring pixels, brightest edge white.
* inverted: black for white.

All are functions of the stored image alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Pairing = Literal["none", "blur", "low_resolution", "edges", "inverted"]
Derived = Callable[[Tensor, int], Tensor]
BLUR = 0.15  # standard deviation of the blur, of the image's side
SMALL = 16  # pixels, up to which a block is 2x2


def blurred(v: Tensor, levels: int) -> Tensor:
    """Stored images (n, C, H, W) under a Gaussian blur."""
    sigma = BLUR * min(v.shape[-2:])
    reach = max(1, round(2 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    line = torch.exp(-at.square() / (2 * sigma**2))
    line = line / line.sum()
    x = v.to(torch.float32).flatten(0, 1)[:, None]
    x = F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), line[None, None, :, None])
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), line[None, None, None, :])
    return _stored(x.reshape(v.shape), v)


def low_resolution(v: Tensor, levels: int) -> Tensor:
    """Stored images (n, C, H, W) with the mean of each block in its place."""
    height, width = v.shape[-2:]
    block = 2 if min(height, width) <= SMALL else 4
    small = F.avg_pool2d(v.to(torch.float32), block, ceil_mode=True, count_include_pad=False)
    return _stored(F.interpolate(small, scale_factor=float(block), mode="nearest")[..., :height, :width], v)


def edges(v: Tensor, levels: int) -> Tensor:
    """Sizes of the gradients of stored images (n, C, H, W), each image's largest in the highest level."""
    x = F.pad(v.to(torch.float32), (0, 1, 0, 1), mode="replicate")
    across, down = x[..., :-1, 1:] - x[..., :-1, :-1], x[..., 1:, :-1] - x[..., :-1, :-1]
    size = (across.square() + down.square()).sqrt()
    most = size.flatten(1).amax(1).clamp(min=1.0)[:, None, None, None]
    return _stored((levels - 1) * size / most, v)


def inverted(v: Tensor, levels: int) -> Tensor:
    """Stored images (n, C, H, W) with black and white exchanged."""
    return levels - 1 - v


def _stored(x: Tensor, like: Tensor) -> Tensor:
    return x.round().to(like.dtype)


PAIRS: dict[str, Derived | None] = {
    "none": None,
    "blur": blurred,
    "low_resolution": low_resolution,
    "edges": edges,
    "inverted": inverted,
}
