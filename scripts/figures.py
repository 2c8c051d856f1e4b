"""The README's picture: samples of several models of one dataset, side by side, each under its name.

    python scripts/figures.py autoencoder=A/samples.npz vae=B/samples.npz … --data digits --out docs/images/digits.png

The files are what `genkit sample` wrote; the first ones of each are shown, none is chosen.
"""

from __future__ import annotations

import argparse
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genkit.config.build import build
from genkit.config.hydra.launch import compose_option
from genkit.data.dataset import Dataset
from genkit.data.samples import read_samples
from genkit.data.spec import DataSpec
from genkit.report.grid import TILE, tiled, to_bytes
from genkit.storage.atomic import whole_file

TITLE = 22  # pixels above a block
MARGIN = 12  # pixels between blocks
BLACK, WHITE = 0, 255


def block(path: Path, spec: DataSpec, rows: int, columns: int) -> np.ndarray:
    """The first rows · columns samples of a file as one grey or colour sheet (H, W, C)."""
    x = spec.scale(read_samples(path, spec).x[: rows * columns])
    pixels = to_bytes(x, spec)
    return tiled(pixels, columns, max(1, round(TILE / 2 / pixels.shape[2])))


def compose(sheets: dict[str, np.ndarray], across: int) -> Image.Image:
    """Sheets of one size under their names, `across` in a row."""
    height, width, channels = next(iter(sheets.values())).shape
    down = ceil(len(sheets) / across)
    size = (across * (width + MARGIN) - MARGIN, down * (height + TITLE + MARGIN) - MARGIN)
    picture = Image.new("L" if channels == 1 else "RGB", size, WHITE if channels == 1 else (WHITE,) * 3)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=16)
    for i, (name, sheet) in enumerate(sheets.items()):
        left, top = (i % across) * (width + MARGIN), (i // across) * (height + TITLE + MARGIN)
        pen.text((left + width / 2, top), name, fill=BLACK if channels == 1 else (BLACK,) * 3, font=font, anchor="ma")
        picture.paste(Image.fromarray(sheet if channels == 3 else sheet[:, :, 0]), (left, top + TITLE))
    return picture


def across_for(n: int) -> int:
    """Blocks in a row of n: all of up to five, else as many as leave the fewest places empty."""
    return n if n <= 5 else min(range(6, 2, -1), key=lambda across: -n % across)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", nargs="+", metavar="NAME=FILE", help="a name and a file of samples")
    parser.add_argument("--data", default="digits", help="the dataset that they are samples of")
    parser.add_argument("--out", type=Path, required=True, help="the PNG")
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--across", type=int, help="blocks in a row; by default up to 6, with few places left empty")
    options = parser.parse_args(argv)
    spec = build(compose_option("data", options.data), at="data", expect=Dataset).spec
    named = [word.partition("=") for word in options.samples]
    sheets = {name: block(Path(file), spec, options.rows, options.columns) for name, _, file in named}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(options.out) as file:
        compose(sheets, options.across or across_for(len(sheets))).save(file, format="PNG")


if __name__ == "__main__":
    main()
