"""Grids of images as PNG files, enlarged pixel by pixel so that an 8x8 digit can be read."""

from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.report.caption import captioned
from genkit.storage.atomic import whole_file

TILE = 56  # pixels: images are enlarged by the whole number that brings them nearest to this
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
    return sheet


def save_grid(
    path: str | Path,
    x: Tensor,
    spec: DataSpec,
    columns: int | None = None,
    scale: int | None = None,
    title: str = "",
    rows: Sequence[str] = (),
) -> None:
    """Images x (n, C, H, W) in model units as a PNG, row by row.

    Args:
        path: Of the PNG; it appears whole or not at all.
        x: One image or more; three channels are colour, otherwise the first one is shown.
        spec: The range and levels of x.
        columns: Images in a row; by default about as many as there are rows, and few places left empty.
        scale: Pixels of the picture per pixel of an image and side; by default tiles of about 56 pixels.
        title: Above the grid.
        rows: A label for each row.

    Raises:
        DataError: x is empty or has another number of dimensions.
        StorageError: the file cannot be written.
    """
    pixels = to_bytes(x, spec)
    if len(pixels) == 0:
        raise DataError(f"{path}: no images to draw")
    sheet = tiled(pixels, columns or columns_for(len(pixels)), scale or max(1, round(TILE / pixels.shape[2])))
    picture = captioned(sheet, title, rows)
    with whole_file(Path(path)) as file:
        picture.save(file, format="PNG")


def columns_for(n: int) -> int:
    """Columns of a sheet of n pictures: nearly a square, as few empty places as a little more width can buy."""
    square = ceil(sqrt(n))
    return min(range(square, square + square // 2 + 1), key=lambda columns: (-n % columns, columns))


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
