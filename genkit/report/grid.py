"""Grids of images as PNG files, enlarged pixel by pixel so that an 8x8 digit can be read."""

from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.report.caption import PAPER, SIZE, captioned, head_width
from genkit.storage.atomic import whole_file

TILE, LARGEST_TILE = 56, 168  # pixels: images are enlarged by the whole number that brings them nearest to the first,
SHEET = 448  # where they are few larger, up to the second, until the sheet has this width
LABELLED = SIZE + 4  # pixels of a row that has a label
GAP = 2  # pixels between tiles
GAP_LEVEL = 72  # grey of the gaps: told apart from a black background without outshining the strokes


def to_bytes(x: Tensor, spec: DataSpec) -> Tensor:
    """Images (n, C, H, W) in model units to uint8 0 … 255, (n, H, W, C); what is not finite becomes black."""
    if x.ndim != 4:
        raise DataError(f"images have shape (n, C, H, W), these have {tuple(x.shape)}")
    lo, hi = spec.value_range or (float(x.min()), float(x.max()))
    x = x.detach().cpu().to(torch.float64).nan_to_num(nan=lo, posinf=lo, neginf=lo)
    unit = (x - lo) / (hi - lo) if spec.kind.count is None else spec.kind.coordinates(spec.unscale(x))
    pixels = (255 * unit).round().clamp(0, 255).to(torch.uint8)
    return pixels[:, : 3 if pixels.shape[1] >= 3 else 1].movedim(1, -1)


def tiled(pixels: Tensor, columns: int, scale: int) -> np.ndarray:
    """Images (n, H, W, C) uint8 to one picture, row by row, enlarged `scale` times, with gaps around every tile."""
    n, height, width, channels = pixels.shape
    rows = ceil(n / columns)
    tall, wide = height * scale + GAP, width * scale + GAP
    sheet = np.full((rows * tall + GAP, columns * wide + GAP, channels), GAP_LEVEL, dtype=np.uint8)
    large = pixels.repeat_interleave(scale, dim=1).repeat_interleave(scale, dim=2).numpy()
    for i, tile in enumerate(large):
        top, left = GAP + (i // columns) * tall, GAP + (i % columns) * wide
        sheet[top : top + tall - GAP, left : left + wide - GAP] = tile
    for i in range(n, rows * columns):  # places without an image are paper
        sheet[GAP + i // columns * tall :, GAP + i % columns * wide :] = PAPER
    return sheet


def save_grid(
    path: str | Path,
    x: Tensor,
    spec: DataSpec,
    columns: int | None = None,
    scale: int | None = None,
    title: str = "",
    rows: Sequence[str] = (),
    heads: Sequence[str] = (),
) -> None:
    """Images x (n, C, H, W) in model units as a PNG, row by row.

    Args:
        path: Of the PNG; it appears whole or not at all.
        x: One image or more; three channels are colour, otherwise the first one is shown.
        spec: The range and levels of x.
        columns: Images in a row; by default about as many as there are rows, and few places left empty.
        scale: Pixels of the picture per pixel of an image and side; by default tiles of about 56 pixels, larger where
            there are few.
        title: Above the grid.
        rows: A label for each row.
        heads: One for each column.

    Raises:
        DataError: x is empty or has another number of dimensions.
        StorageError: the file cannot be written.
    """
    pixels = to_bytes(x, spec)
    if len(pixels) == 0:
        raise DataError(f"{path}: no images to draw")
    height, width = pixels.shape[1:3]
    columns = columns or columns_for(len(pixels), width / height)
    least = (LABELLED if rows else 1, head_width(heads))
    sheet = tiled(pixels, columns, scale or scale_for(height, width, columns, least))
    picture = captioned(sheet, title, rows, heads)
    with whole_file(Path(path)) as file:
        picture.save(file, format="PNG")


def scale_for(height: int, width: int, columns: int, least: tuple[int, int] = (1, 1)) -> int:
    """Pixels of a picture per pixel of an image: tiles of about 56 pixels a side, at least (high, wide) pixels."""
    side = min(max(TILE, SHEET / columns), LARGEST_TILE)
    return max(1, round(side / sqrt(height * width)), ceil(least[0] / height), ceil(least[1] / width))


def columns_for(n: int, aspect: float = 1.0) -> int:
    """Columns of a sheet of n pictures, so many times as wide as high: nearly a square, as few empty places as a little
    more width can buy, and no empty row.
    """
    square = min(n, max(1, ceil(sqrt(n / aspect))))
    return min(range(square, min(n, square + square // 2) + 1), key=lambda columns: (-n % columns, columns))


def save_pairs(
    path: str | Path,
    x: Tensor,
    reconstruction: Tensor,
    spec: DataSpec,
    columns: int | None = None,
    title: str = "",
) -> None:
    """Rows of originals x (n, C, H, W), each above the row of their reconstructions; as `save_grid` otherwise.

    With a title, each row says what it shows.
    """
    columns = min(columns or min((8, 7, 6, 5), key=lambda wide: -len(x) % wide), max(1, len(x)))
    blank = torch.full((-len(x) % columns, *x.shape[1:]), spec.value_range[0] if spec.value_range else 0.0)
    parts = [torch.cat([part.detach().cpu(), blank]).split(columns) for part in (x, reconstruction)]
    labels = ["original", "reconstruction"] * len(parts[0]) if title else []
    save_grid(path, torch.cat([row for pair in zip(*parts, strict=True) for row in pair]), spec, columns,
              title=title, rows=labels)  # fmt: skip
