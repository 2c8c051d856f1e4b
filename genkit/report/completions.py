"""Completions and restorations as a picture: a row for each example, from what was given to what was made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import ImageDraw
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.report.caption import PAD, SIZE, captioned, letters
from genkit.report.grid import GAP, GAP_LEVEL, TILE, to_bytes
from genkit.storage.atomic import whole_file

HIDDEN = (58, 84, 122)  # the colour of a hidden pixel: no grey, so that no image has it
SMALLEST = 72  # pixels of a tile: the heads of the columns stand above


def save_completions(
    path: Path,
    spec: DataSpec,
    columns: Sequence[tuple[str, Tensor]],
    title: str,
    hidden: Tensor | None = None,
    spread: Tensor | None = None,
) -> None:
    """A PNG with a row for each example and a head above each column.

    Args:
        path: Of the PNG; it appears whole or not at all.
        spec: The data, images.
        columns: (head, images (R, *shape) in model units). Where `hidden` is given those of the second are shown with
            what is hidden in a colour of its own.
        title: Above it.
        hidden: Bool (R, *shape).
        spread: (R, H, W) standard deviation of the draws at a pixel in [0, 1], drawn as the last column.
    """
    scale = max(1, round(max(TILE, SMALLEST) / spec.shape[-1]))
    sheets = [_coloured(to_bytes(images, spec)) for _, images in columns]
    if hidden is not None:
        sheets[1] = np.where(hidden.any(1)[..., None].numpy(), np.array(HIDDEN, dtype=np.uint8), sheets[1])
    heads = [head for head, _ in columns]
    if spread is not None:
        most = max(float(spread.max()), 1e-6)
        sheets.append(_coloured((255 * spread / most).round().to(torch.uint8)[..., None]))
        heads.append(f"±{most:.2f} white")
    tiles = np.stack(sheets, 1).repeat(scale, 2).repeat(scale, 3)  # (R, columns, H, W, 3)
    rows, count, tall, wide, _ = tiles.shape
    top = SIZE + 2 * PAD
    sheet = np.full((rows * (tall + GAP) + GAP, count * (wide + GAP) + GAP, 3), GAP_LEVEL, dtype=np.uint8)
    for i in range(rows):
        for j in range(count):
            y, x = GAP + i * (tall + GAP), GAP + j * (wide + GAP)
            sheet[y : y + tall, x : x + wide] = tiles[i, j]
    head = np.full((top, sheet.shape[1], 3), 255, dtype=np.uint8)
    picture = captioned(np.concatenate([head, sheet]), title)
    pen, above = ImageDraw.Draw(picture), picture.height - len(sheet) - top
    for j, text in enumerate(heads):
        pen.text((GAP + j * (wide + GAP) + 1, above + PAD), text, fill=(0, 0, 0), font=letters())
    with whole_file(path) as file:
        picture.save(file, format="PNG")


def _coloured(pixels: Tensor) -> np.ndarray:
    """(R, H, W, C) uint8 with three channels."""
    return pixels.numpy().repeat(3, -1) if pixels.shape[-1] == 1 else pixels.numpy()
