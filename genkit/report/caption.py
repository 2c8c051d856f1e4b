"""Words around a sheet of images: a title above it, a label beside each row."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = 14  # pixels of a letter's height, about
PAD = 6  # pixels between words and images
PAPER, INK = 255, 0


def captioned(sheet: np.ndarray, title: str = "", rows: Sequence[str] = ()) -> Image.Image:
    """The sheet (H, W, 1 or 3) uint8 as a picture, on paper as wide as the title needs.

    Args:
        sheet: Of rows of equal height.
        title: Above it; "" for none.
        rows: One label for each row, left of it; none for no labels.
    """
    picture = Image.fromarray(sheet if sheet.shape[2] == 3 else sheet[:, :, 0])
    if not (title or rows):
        return picture
    font = letters()
    left = PAD + ceil(max(map(font.getlength, rows))) + PAD if rows else 0
    top = SIZE + 2 * PAD if title else 0
    width = max(left + picture.width, 2 * PAD + ceil(font.getlength(title)))
    paper = Image.new(picture.mode, (width, top + picture.height), _shade(PAPER, picture.mode))
    paper.paste(picture, (left, top))
    pen, ink = ImageDraw.Draw(paper), _shade(INK, picture.mode)
    pen.text((PAD, PAD), title, fill=ink, font=font)
    height = picture.height / max(1, len(rows))
    for i, label in enumerate(rows):
        pen.text((left - PAD - font.getlength(label), top + (i + 0.5) * height - SIZE / 2), label, fill=ink, font=font)
    return paper


def letters() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=SIZE)


def _shade(level: int, mode: str) -> int | tuple[int, int, int]:
    return level if mode == "L" else (level, level, level)
