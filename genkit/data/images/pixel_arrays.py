"""Images in arrays: (n, H, W, C), (n, C, H, W) or (n, H, W), C = 1, 3 or 4, to 256 levels by written rules.

* The axis of the channels is the last one where that has 1, 3 or 4 values, else the second one.
* Integers are levels 0 … 255.
* With a range [lo, hi], integers and floats become the nearest of 256 levels from lo to hi: round(255 (x − lo) /
  (hi − lo)). Floats need one, since nothing in a file says what their white is. Of booleans it is [0, 1].
* Four channels are RGB and alpha, which is laid over white.

A value that is no level (negative, too large, not finite) makes its image unusable, and no other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genkit.data.array_parts import ArrayPart
from genkit.data.array_rows import ArrayRows
from genkit.data.images.collection import ImageCollection, Skipped
from genkit.data.images.decoding import BadImage, Header, Pixels, as_pixels, over_white
from genkit.data.kinds import Interval
from genkit.data.source_files import SourceFiles
from genkit.errors import DataError

CHANNELS = (1, 3, 4)
WHITE = 255


class PixelArrays(ImageCollection):
    """Images in the rows of arrays.

    Args:
        arrays: Images of any sizes; either all or none have labels, and either all or none have splits.
        files: What they were read from.
        value_range: (lo, hi) of black and white; None: levels 0 … 255.
        order: Names of all classes by number, where the source has an order of its own.

    Raises:
        DataError: an array has a shape or type that is not that of images.
    """

    def __init__(
        self,
        arrays: Sequence[ArrayPart],
        files: SourceFiles,
        value_range: Interval | None = None,
        order: Sequence[str] | None = None,
    ) -> None:
        self.order = order
        self.arrays, self.files, self.range, self.skipped = arrays, files, value_range, Skipped()
        self.starts = [0, *accumulate(len(part.rows) for part in arrays)]
        self.names = [f"{part.name}[{i}]" for part in arrays for i in range(len(part.rows))]
        labelled = all(part.labels is not None for part in arrays)
        self.classes = [label for part in arrays for label in part.labels or ()] if labelled else None
        splits = [(part.split, len(part.rows)) for part in arrays]
        self.parts = [split for split, n in splits if split for _ in range(n)] or None
        self.forms = [form_of(part.rows, part.name, value_range, files.name) for part in arrays]
        self._block = _Block(0, 0, 0, np.empty(0, np.uint8), {})

    def content(self) -> str:
        return self.files.content()

    def state(self) -> list[list[object]]:
        return self.files.state()

    def header(self, i: int) -> Header:
        return self.forms[self._place(i)[0]].header

    def pixels(self, i: int, channels: int) -> Pixels:
        part, row = self._place(i)
        block = self._block
        if block.part != part or not block.low <= row < block.high:
            block = self._block = self._read(part, row)
        if row in block.bad:
            raise BadImage(block.bad[row])
        return with_channels(block.pixels[row - block.low], channels)

    def _place(self, i: int) -> tuple[int, int]:
        """The array that image i is in, and its row there."""
        part = bisect_right(self.starts, i) - 1
        return part, i - self.starts[part]

    def _read(self, part: int, row: int) -> _Block:
        rows = self.arrays[part].rows
        low = row - row % rows.block
        high = min(low + rows.block, len(rows))
        values = self.forms[part].channels_last(rows.between(low, high))
        pixels, bad = levels_of(values, self.range)
        return _Block(part, low, high, pixels, {low + i: reason for i, reason in bad})


@dataclass(frozen=True)
class _Block:
    """Rows low … high − 1 of an array as pixels (high − low, H, W, C), and what is wrong with some of them."""

    part: int
    low: int
    high: int
    pixels: NDArray[np.uint8]
    bad: dict[int, str]


@dataclass(frozen=True)
class ImageForm:
    """The form in which an array holds images.

    Attributes:
        header: Of each of them.
        axes: Of (n, H, W, C) in the array; None where it lacks that of the channels.
    """

    header: Header
    axes: tuple[int, int, int, int] | None

    def channels_last(self, values: NDArray[Any]) -> NDArray[Any]:
        return values[..., None] if self.axes is None else values.transpose(self.axes)


def form_of(rows: ArrayRows, name: str, value_range: Interval | None, source: str) -> ImageForm:
    """Find out how an array holds images. Raises DataError where it holds none."""
    shape = rows.shape
    axes: tuple[int, int, int, int] | None = None
    if len(shape) == 4 and shape[3] in CHANNELS:
        axes = (0, 1, 2, 3)
    elif len(shape) == 4 and shape[1] in CHANNELS:
        axes = (0, 2, 3, 1)
    elif len(shape) != 3:
        raise DataError(
            f"{source}: {name} has the shape {str(shape)[:60]}: images are (n, H, W, C), (n, C, H, W) or (n, H, W) "
            "with 1, 3 or 4 channels, vectors (n, D)"
        )
    if rows.dtype.kind not in "buif":
        raise DataError(f"{source}: {name} holds values of type {rows.dtype}: store uint8, or floats of a known range")
    if rows.dtype.kind == "f" and value_range is None:
        raise DataError(_needs_range(rows, name, source))
    _, height, width, channels = (*shape, 1) if axes is None else tuple(shape[axis] for axis in axes)
    return ImageForm(Header(width, height, channels == 1), axes)


def _needs_range(rows: ArrayRows, name: str, source: str) -> str:
    first = rows.between(0, min(len(rows), rows.block))
    low, high = float(np.nanmin(first)), float(np.nanmax(first))
    known = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
    lo, hi = next(((lo, hi) for lo, hi in known if lo <= low and high <= hi), (low, high))
    return (
        f"{source}: {name} holds {rows.dtype} and nothing says which values are black and white: give "
        f"data.range=[{lo:g},{hi:g}] if they are those (the first images have {low:g} to {high:g})"
    )


def levels_of(values: NDArray[Any], value_range: Interval | None) -> tuple[NDArray[np.uint8], list[tuple[int, str]]]:
    """Images (b, …) as levels, and (number, reason) of those that cannot be."""
    if values.dtype == np.uint8 and value_range is None:
        return values, []
    lo, hi = value_range or ((0, 1) if values.dtype.kind == "b" else (0, WHITE))
    flat = values.reshape(len(values), -1)
    if values.dtype.kind == "f" or value_range is not None or values.dtype.kind == "b":
        scaled = (flat.astype(np.float64) - lo) * (WHITE / (hi - lo))
        levels = np.rint(scaled, out=scaled)
    else:
        levels = flat
    with np.errstate(invalid="ignore"):
        wrong = ~((levels >= 0) & (levels <= WHITE))
        pixels = np.where(wrong, 0, levels).astype(np.uint8).reshape(values.shape)
    bad = [(int(i), _reason(flat[i], wrong[i], lo, hi)) for i in np.flatnonzero(wrong.any(axis=1))]
    return pixels, bad


def _reason(values: NDArray[Any], wrong: NDArray[np.bool_], lo: float, hi: float) -> str:
    value = values[wrong][0]
    if not np.isfinite(value):
        return "a value that is not finite"
    return f"a value of {value:g} outside of {lo:g} … {hi:g}"


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """An image (H, W, 1, 3 or 4) with 1 or 3 channels."""
    if pixels.shape[2] == channels:
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    return as_pixels(over_white(image) if pixels.shape[2] == 4 else image, channels)
