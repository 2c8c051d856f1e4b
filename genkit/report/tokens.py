"""Sequences of tokens as a picture: a row for each, a coloured cell for each token, its sign inside where it fits.

Equal columns, periods, ends and a token that fills everything are seen at a glance; a sign says which token it is.
Tokens of up to `NAMED` kinds have hues of their own, spread by the golden angle so that neighbours differ; specials are
grey.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from genkit.data.kinds import Categorical
from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.report.caption import captioned
from genkit.storage.atomic import whole_file

Colour = tuple[int, int, int]

WIDE = 1600  # pixels of a row at most, as long as cells are wide enough to be seen
LARGEST, SMALLEST, LEGIBLE = 16, 3, 9  # pixels of a cell's side; signs are drawn from LEGIBLE on
GOLDEN = 0.6180339887498949  # of a turn of hue from one token to the next
GREYS = (96, 200)  # of the specials, first to last
ROWS = 64  # sequences in a picture of many


def colour_of(token: int, kind: Categorical) -> Colour:
    """Red, green, blue of a token."""
    if token >= kind.vocabulary:
        low, high = GREYS
        grey = low + (high - low) * (token - kind.vocabulary) // max(1, len(kind.specials))
        return grey, grey, grey
    hue, bright = (token * GOLDEN) % 1.0, 0.95 - 0.25 * (token % 3) / 2
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.55, bright))
    return red, green, blue


def save_tokens(path: str | Path, x: Tensor, spec: DataSpec, title: str = "") -> None:
    """Tokens x (n, *shape) as a PNG, one example in a row, at most `ROWS` of them.

    Raises:
        DataError: there are none, or they are no tokens of such data.
        StorageError: the file cannot be written.
    """
    if not isinstance(spec.kind, Categorical):
        raise DataError(f"{spec.kind.name} data has no tokens to draw")
    rows = spec.unscale(x[:ROWS].detach().cpu()).flatten(1)
    if rows.numel() == 0:
        raise DataError(f"{path}: no tokens to draw")
    picture = captioned(raster(rows.numpy(), spec.kind), title, below=_meaning(spec.kind) if title else "")
    with whole_file(Path(path)) as file:
        picture.save(file, format="PNG")


def _meaning(kind: Categorical) -> str:
    """The order of the cells, and what grey ones are."""
    greys = ["dark grey", "light grey"] if len(kind.specials) == 2 else ["grey"]
    specials = [f"{grey}: {name}" for grey, name in zip(greys, kind.specials, strict=False)]
    if len(kind.specials) > len(greys):
        specials = [f"grey: {', '.join(kind.specials)}"]
    return "; ".join(["a row is a sequence, from left to right", *specials])


def raster(rows: np.ndarray, kind: Categorical) -> np.ndarray:
    """Tokens (n, T) int64 to a sheet (H, W, 3) uint8."""
    length = rows.shape[1]
    side = max(SMALLEST, min(LARGEST, WIDE // length))
    palette = np.array([colour_of(token, kind) for token in range(kind.count)], dtype=np.uint8)
    sheet = palette[rows].repeat(side, 0).repeat(side, 1)
    if side >= LEGIBLE:
        picture = Image.fromarray(sheet)
        _write_signs(ImageDraw.Draw(picture), rows, kind, side)
        sheet = np.asarray(picture)
    return sheet


def _write_signs(pen: ImageDraw.ImageDraw, rows: np.ndarray, kind: Categorical, side: int) -> None:
    """The sign of each ordinary token in its cell, where it fits."""
    font = ImageFont.load_default(size=side - 4)
    sign = _sign_of(kind, font.getlength, side)
    for i, row in enumerate(rows.tolist()):
        for j, token in enumerate(row):
            if text := sign(token):
                middle = ((j + 0.5) * side, (i + 0.5) * side)
                pen.text(middle, text, fill=(20, 20, 20), font=font, anchor="mm")


def _sign_of(kind: Categorical, width: Callable[[str], float], side: int) -> Callable[[int], str]:
    @cache
    def sign(token: int) -> str:
        text = "" if token >= kind.vocabulary else kind.symbol(token)
        return text if text.isprintable() and text.strip() and width(text) <= side else ""

    return sign
