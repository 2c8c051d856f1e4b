"""A split of images of which the middle is shown: what stands beside random windows of a larger frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from genkit.data.epoch_order import EpochOrder
from genkit.data.split import Examples, Split


class CentreWindow(Split):
    """The middle (height, width) pixels of the images of another split.

    Args:
        frames: The other split, of shape (C, H, W) with H ≥ height and W ≥ width.
        height, width: Of the window.
    """

    def __init__(self, frames: Split, height: int, width: int) -> None:
        self.frames, self.dtype = frames, frames.dtype
        self.shape = (frames.shape[0], height, width)
        self.top, self.left = (frames.shape[1] - height) // 2, (frames.shape[2] - width) // 2

    @property
    def labels(self) -> Tensor | None:
        return self.frames.labels

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, index: Tensor) -> Examples:
        return self._window(self.frames.take(index))

    def between(self, low: int, high: int) -> Examples:
        return self._window(self.frames.between(low, high))

    def epoch_order(self, seed: int, epoch: int) -> EpochOrder:
        return self.frames.epoch_order(seed, epoch)

    def content_keys(self) -> NDArray[np.void] | None:
        return self.frames.content_keys()

    def __getitem__(self, index: Tensor) -> Split:
        return CentreWindow(self.frames[index], *self.shape[1:])

    def _window(self, found: Examples) -> Examples:
        rows, columns = slice(self.top, self.top + self.shape[1]), slice(self.left, self.left + self.shape[2])
        return Examples(found.x[:, :, rows, columns].contiguous(), found.y)
