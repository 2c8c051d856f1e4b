"""Augmentation of images in memory: flips and shifts whose parameters are a function of (seed, epoch, example).

The parameters of all N examples of the split are drawn from one generator and those of the batch picked, so an example
is changed in the same way whichever batch it lands in.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def flip_and_shift(
    x: Tensor, index: Tensor, n: int, generator: torch.Generator, *, flip: bool, shift: int, fill: int = 0
) -> Tensor:
    """Images x (B, C, H, W), flipped left to right with probability 1/2 and moved by −shift … shift pixels each way.

    Args:
        x: Stored values.
        index: (B,) numbers of the images in their split of n.
        n: Size of the split.
        generator: At the start of the stream of (seed, epoch).
        flip: Whether to flip.
        shift: Largest shift in pixels.
        fill: Stored value of the pixels that a shift brings in.
    """
    if flip:
        flipped = torch.rand(n, generator=generator)[index] < 0.5
        x = torch.where(flipped[:, None, None, None], x.flip(-1), x)
    if shift:
        offsets = torch.randint(2 * shift + 1, (n, 2), generator=generator)[index]
        x = crop(F.pad(x, [shift] * 4, value=fill), offsets, x.shape[-2], x.shape[-1])
    return x


def crop(x: Tensor, offsets: Tensor, height: int, width: int) -> Tensor:
    """Windows (B, C, height, width) of images x (B, C, H, W) with upper left corners `offsets` (B, 2) (row, column)."""
    windows = x.unfold(2, height, 1).unfold(3, width, 1)  # (B, C, rows, columns, height, width), a view
    return windows[torch.arange(len(x)), :, offsets[:, 0], offsets[:, 1]]
