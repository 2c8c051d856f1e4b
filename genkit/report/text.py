"""Text as a picture: a column of samples under each other in letters of one width, each cut after a few lines.

What a terminal would obey is written as an escape, bytes that are no UTF-8 as U+FFFD, and a sample whose document ended
closes with a sign.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.errors import DataError
from genkit.printing import printable
from genkit.report.caption import captioned
from genkit.storage.atomic import whole_file

SAMPLES = 12  # in a picture
COLUMNS, LINES = 96, 12  # letters of a line, lines of a sample
SIZE, PAD = 13, 8  # pixels of a letter's height, around the text
LEADING = 16  # pixels from line to line
INK, FAINT, PAPER, BAND = (30, 30, 30), (140, 140, 140), (255, 255, 255), (244, 245, 248)
ENDED = "∎"


def save_text(path: str | Path, x: Tensor, spec: DataSpec, title: str = "") -> None:
    """Examples x (n, T) as a PNG of their text, at most `SAMPLES` of them.

    Raises:
        DataError: there are none, or they are no tokens of such data.
        StorageError: the file cannot be written.
    """
    if not isinstance(spec.kind, Text):
        raise DataError(f"{spec.kind.name} data has no text to draw")
    rows = spec.unscale(x[:SAMPLES].detach().cpu())
    if rows.numel() == 0:
        raise DataError(f"{path}: no text to draw")
    ended = spec.kind.ended(rows).tolist()
    samples = [wrapped(text, end) for text, end in zip(spec.kind.texts(rows), ended, strict=True)]
    picture = captioned(np.asarray(_sheet(samples)), title)
    with whole_file(Path(path)) as file:
        picture.save(file, format="PNG")


def wrapped(text: str, ended: bool = False, columns: int = COLUMNS, most: int = LINES) -> list[str]:
    """Lines of at most so many letters, nothing in them that a terminal would obey; "…" for what is left out.

    Args:
        text: Any.
        ended: Whether a sign says that the document ended.
        columns: Letters of a line.
        most: Lines.
    """
    lines: list[str] = []
    for line in (text + (ENDED if ended else "")).expandtabs(4).split("\n"):
        safe = printable(line)
        lines += [safe[i : i + columns] for i in range(0, len(safe), columns)] or [""]
    return lines if len(lines) <= most else [*lines[: most - 1], "…"]


def _sheet(samples: list[list[str]]) -> Image.Image:
    """The samples under each other, every second one on a band."""
    font = _font()
    width = 2 * PAD + round(COLUMNS * font.getlength("m"))
    heights = [LEADING * len(lines) + PAD for lines in samples]
    paper = Image.new("RGB", (width, sum(heights)), PAPER)
    pen, top = ImageDraw.Draw(paper), 0
    for number, (lines, height) in enumerate(zip(samples, heights, strict=True)):
        if number % 2 == 0:
            pen.rectangle((0, top, width, top + height - 1), fill=BAND)
        for i, line in enumerate(lines):
            at = (PAD, top + PAD / 2 + i * LEADING)
            pen.text(at, line.removesuffix(ENDED), fill=INK, font=font)
            if line.endswith(ENDED):
                end = PAD + font.getlength(line.removesuffix(ENDED))
                pen.text((end, at[1]), ENDED, fill=FAINT, font=font)
        top += height
    return paper


def _font() -> ImageFont.FreeTypeFont:
    """Letters of one width, those of matplotlib, which has them for most alphabets."""
    from matplotlib import get_data_path

    return ImageFont.truetype(str(Path(get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf")), SIZE)
