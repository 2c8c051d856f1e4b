"""Words around a sheet of images: a title above it, a head over each column, a label beside each row, a line below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import ceil

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = 14  # pixels of a letter's height, about
PAD = 6  # pixels between words and images
LEAST = 300  # pixels that a title has at least: a longer one is broken into lines
LONGEST = 160  # letters of a line
MOST_LINES = 3  # of a title
PAPER, INK = 255, 0


def captioned(
    sheet: np.ndarray, title: str = "", rows: Sequence[str] = (), heads: Sequence[str] = (), below: str = ""
) -> Image.Image:
    """The sheet (H, W, 1 or 3) uint8 as a picture, on paper that is as wide as sheet and labels, or as a short title.

    Args:
        sheet: Of rows of equal height.
        title: Above it; "" for none. A long one is broken into lines.
        rows: One label for each row, left of it; none for no labels.
        heads: One for each column, above it, as long as there is room for it (`head_width`); none for no heads.
        below: What is to be known of the sheet, under it; "" for nothing.
    """
    picture = Image.fromarray(sheet if sheet.shape[2] == 3 else sheet[:, :, 0])
    if not (title or rows or heads or below):
        return picture
    font = letters()
    left = PAD + ceil(max(map(font.getlength, rows))) + PAD if rows else 0
    room = max(left + picture.width, LEAST)
    over, under = _lines(title, room), _lines(below, room)
    top, bottom = (len(lines) * (SIZE + PAD) + PAD if lines else 0 for lines in (over, under))
    top += SIZE + PAD if heads else 0
    width = max(left + picture.width, *(2 * PAD + ceil(font.getlength(line)) for line in [*over, *under, ""]))
    paper = Image.new(picture.mode, (width, top + picture.height + bottom), _shade(PAPER, picture.mode))
    paper.paste(picture, (left, top))
    pen, ink = ImageDraw.Draw(paper), _shade(INK, picture.mode)
    for lines, start in ((over, 0), (under, top + picture.height)):
        for i, line in enumerate(lines):
            pen.text((PAD, start + PAD + i * (SIZE + PAD)), line, fill=ink, font=font)
    for j, head in enumerate(heads):
        pen.text((left + j * picture.width / len(heads) + 3, top - SIZE - PAD / 2), head, fill=ink, font=font)
    height = picture.height / max(1, len(rows))
    for i, label in enumerate(rows):
        pen.text((left - PAD - font.getlength(label), top + (i + 0.5) * height - SIZE / 2), label, fill=ink, font=font)
    return paper


def head_width(heads: Sequence[str]) -> int:
    """Pixels of a column over which every one of these heads has room."""
    return ceil(max(map(letters().getlength, heads), default=0)) + PAD if heads else 0


def letters() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=SIZE)


def _lines(text: str, room: float) -> list[str]:
    """The lines of a text that fit into so many pixels; of a very long one the first."""
    font, lines = letters(), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if font.getlength(longer) <= room - 2 * PAD or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    lines = [part for line in lines for part in textwrap.wrap(line, LONGEST)]  # a word may be longer than the paper
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1][:-1]}…"]


def _shade(level: int, mode: str) -> int | tuple[int, int, int]:
    return level if mode == "L" else (level, level, level)
