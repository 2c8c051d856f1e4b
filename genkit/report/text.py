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
NARROW = 72  # letters of a line where real text stands beside
SIZE, PAD = 13, 8  # pixels of a letter's height, around the text
LEADING = 16  # pixels from line to line
INK, FAINT, PAPER, BAND = (30, 30, 30), (140, 140, 140), (255, 255, 255), (244, 245, 248)
ENDED = "∎"


def save_text(
    path: str | Path,
    x: Tensor,
    spec: DataSpec,
    title: str = "",
    real: Tensor | None = None,
    names: tuple[str, str] = ("real", "samples"),
) -> None:
    """Examples x (n, T) as a PNG of their text, at most `SAMPLES` of them, and beside them as many real ones.

    Args:
        path: Of the PNG; it appears whole or not at all.
        x: One example or more.
        spec: The data.
        title: Above it.
        real: Real examples (m, T); None for none.
        names: What the columns of real examples and of x are called, where there are both.

    Raises:
        DataError: there are none, or they are no tokens of such data.
        StorageError: the file cannot be written.
    """
    if not isinstance(spec.kind, Text):
        raise DataError(f"{spec.kind.name} data has no text to draw")
    if x.numel() == 0:
        raise DataError(f"{path}: no text to draw")
    sheet = _sheet(_wrapped(x, spec)) if real is None else _side_by_side(x, real, spec, names)
    picture = captioned(np.asarray(sheet), title)
    with whole_file(Path(path)) as file:
        picture.save(file, format="PNG")


def _wrapped(x: Tensor, spec: DataSpec, columns: int = COLUMNS) -> list[list[str]]:
    """The lines of the first examples."""
    assert isinstance(spec.kind, Text)
    rows = spec.unscale(x[:SAMPLES].detach().cpu())
    ended = spec.kind.ended(rows).tolist()
    return [wrapped(text, end, columns) for text, end in zip(spec.kind.texts(rows), ended, strict=True)]


def _side_by_side(x: Tensor, real: Tensor, spec: DataSpec, names: tuple[str, str]) -> Image.Image:
    """x on the left, as many real examples on the right, each column under its name; rows are as high as the higher."""
    left, right = _wrapped(x, spec, NARROW), _wrapped(real[: len(x)], spec, NARROW)
    right += [[""]] * (len(left) - len(right))
    heights = [max(len(one), len(other)) for one, other in zip(left, right, strict=True)]
    sheets = [
        _sheet([lines + [""] * (height - len(lines)) for lines, height in zip(column, heights, strict=True)], NARROW)
        for column in (left, right)
    ]
    width, top = sheets[0].width, LEADING + PAD
    paper, font = Image.new("RGB", (2 * width + PAD, top + sheets[0].height), PAPER), _font()
    pen = ImageDraw.Draw(paper)
    for i, (sheet, name) in enumerate(zip(sheets, names[::-1], strict=True)):
        paper.paste(sheet, (i * (width + PAD), top))
        pen.text((i * (width + PAD) + PAD, PAD / 2), name, fill=FAINT, font=font)
    return paper


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


def _sheet(samples: list[list[str]], columns: int = COLUMNS) -> Image.Image:
    """The samples under each other, every second one on a band."""
    font = _font()
    width = 2 * PAD + round(columns * font.getlength("m"))
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
