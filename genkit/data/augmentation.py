"""Augmentation of images: flips and shifts whose parameters are a function of (seed, epoch, example)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.data.counter_stream import ViewStream


def flip_and_shift(x: Tensor, index: Tensor, stream: ViewStream, *, flip: bool, shift: int, fill: int = 0) -> Tensor:
    """Images x (B, C, H, W), flipped left to right with probability 1/2 and moved by −shift … shift pixels each way.

    Args:
        x: Stored values.
        index: (B,) numbers of the images in their split.
        stream: Of (seed, epoch).
        flip: Whether to flip.
        shift: Largest shift in pixels.
        fill: Stored value of the pixels that a shift brings in.
    """
    if flip:
        flipped = (stream.integers("flip", index, 2) == 1).numpy()
        v = x.numpy().copy()
        v[flipped] = v[flipped][..., ::-1]
        x = torch.from_numpy(v)
    if shift:
        offsets = stream.integers("shift", index, 2 * shift + 1, 2)
        x = crop(F.pad(x, [shift] * 4, value=fill), offsets, x.shape[-2], x.shape[-1])
    return x


def crop(x: Tensor, offsets: Tensor, height: int, width: int) -> Tensor:
    """Windows (B, C, height, width) of images x (B, C, H, W) with upper left corners `offsets` (B, 2) (row, column)."""
    v = np.ascontiguousarray(x.numpy())
    n, channels, rows, columns = v.shape
    of_image, of_channel, of_row, of_column = v.strides
    windows = np.ndarray(  # a view; NumPy copies from it three times as fast as torch does
        (n, rows - height + 1, columns - width + 1, channels, height, width),
        v.dtype,
        v,
        strides=(of_image, of_row, of_column, of_channel, of_row, of_column),
    )
    return torch.from_numpy(windows[np.arange(n), offsets[:, 0].numpy(), offsets[:, 1].numpy()])
