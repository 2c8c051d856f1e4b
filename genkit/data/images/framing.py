"""From an image of any size to one of the data's size: which part of it is shown, and how it is resized.

* centre: the largest window of the target's proportions in the middle of the image, resized.
* random: so too, but to a frame 9/8 as large, of which training sees a window at random and all else the middle.
* none: the whole image, whatever its proportions; the picture is squeezed.

An image that has the size already is left as it is. Resizing weighs all pixels below a new one (Pillow's filters
widen with the scale), without which small pictures would be full of aliasing (Parmar et al. 2022, 2104.11222).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from genkit.data.images.decoding import Pixels, as_pixels

Crop = Literal["centre", "random", "none"]
Interpolation = Literal["bicubic", "lanczos", "bilinear", "box", "nearest"]
FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}


@dataclass(frozen=True)
class Frame:
    """The size that stored images have, and the way there.

    Attributes:
        height, width: Of what a model sees, in pixels.
        crop: "centre", "random" or "none".
        interpolation: The filter of resizing.
    """

    height: int
    width: int
    crop: Crop = "centre"
    interpolation: Interpolation = "bicubic"

    @property
    def stored(self) -> tuple[int, int]:
        """(height, width) of a stored image: larger than what a model sees where that is a window of it."""
        return (larger(self.height), larger(self.width)) if self.crop == "random" else (self.height, self.width)

    def apply(self, pixels: Pixels) -> Pixels:
        """Pixels (H, W, C) as (*stored, C)."""
        height, width = self.stored
        if pixels.shape[:2] == (height, width):
            return pixels
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        resized = image.resize((width, height), FILTERS[self.interpolation], box=self._box(image.width, image.height))
        return np.ascontiguousarray(as_pixels(resized, pixels.shape[2]))

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the part that is shown."""
        if self.crop == "none":
            return 0, 0, width, height
        rows, columns = self.stored
        scale = min(width / columns, height / rows)
        shown_width, shown_height = columns * scale, rows * scale
        left, top = (width - shown_width) / 2, (height - shown_height) / 2
        return left, top, left + shown_width, top + shown_height


def larger(side: int) -> int:
    """The side of the frame that windows of `side` pixels are taken from."""
    return -(-side * 9 // 8)
