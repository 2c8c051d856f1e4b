"""Completions and restorations as a picture: a row for each example, from what was given to what was made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.report.caption import captioned, head_width
from genkit.report.grid import scale_for, tiled, to_bytes
from genkit.storage.atomic import whole_file

HIDDEN = (58, 84, 122)  # the colour of a hidden pixel: no grey, so that no image has it


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
        spread: (R, H, W) standard deviation of the draws at a pixel in [0, 1], drawn as the last column, black 0.
    """
    sheets = [_coloured(to_bytes(images, spec)) for _, images in columns]
    if hidden is not None:
        sheets[1] = np.where(hidden.any(1)[..., None].numpy(), np.array(HIDDEN, dtype=np.uint8), sheets[1])
    heads = [head for head, _ in columns]
    if spread is not None:
        most = max(float(spread.max()), 1e-6)
        sheets.append(_coloured((255 * spread / most).round().to(torch.uint8)[..., None]))
        heads.append(f"sd, 0 to {most:.2f}")
    height, width = spec.shape[-2:]
    scale = scale_for(height, width, len(heads), (1, head_width(heads)))
    tiles = torch.from_numpy(np.stack(sheets, 1)).flatten(0, 1)  # (R · columns, H, W, 3)
    picture = captioned(tiled(tiles, len(heads), scale), title, heads=heads)
    with whole_file(path) as file:
        picture.save(file, format="PNG")


def _coloured(pixels: Tensor) -> np.ndarray:
    """(R, H, W, C) uint8 with three channels."""
    return pixels.numpy().repeat(3, -1) if pixels.shape[-1] == 1 else pixels.numpy()
