"""Rows of pictures whose columns are moments: as an animation, and as a page with a slider."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from PIL import Image
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.printing import printable
from genkit.report.caption import captioned
from genkit.report.grid import columns_for, scale_for, tiled, to_bytes
from genkit.report.html import html_page, picture_source
from genkit.storage.atomic import whole_file

PAUSE = 120  # milliseconds of a frame
STYLE = """
figure { margin: 0; } figcaption { color: var(--faint); }
img { max-width: 100%; height: auto; image-rendering: pixelated; }
input[type=range] { width: min(24rem, 100%); }
table { border-collapse: collapse; } td, th { padding: 0.1rem 1rem 0.1rem 0; text-align: left; font-weight: normal; }
"""
SCRIPT = """
for (const figure of document.querySelectorAll("figure[data-moves]")) {
  const frames = figure.querySelectorAll("img"), slider = figure.querySelector("input");
  const show = () => frames.forEach((frame, i) => { frame.hidden = i !== slider.valueAsNumber; });
  slider.addEventListener("input", show);
  show();
}
"""


def moments(frames: Tensor, spec: DataSpec, title: str = "") -> list[Image.Image]:
    """Images (R, T, *spec.shape) in model units as T sheets of R pictures, each under the title."""
    height, width = spec.shape[-2:]
    columns = columns_for(len(frames), width / height)
    scale = scale_for(height, width, columns)
    return [captioned(tiled(to_bytes(one, spec), columns, scale), title) for one in frames.unbind(1)]


def save_animation(path: Path, sheets: Sequence[Image.Image]) -> None:
    """A GIF that goes through the sheets and back again; raises StorageError."""
    order = [*sheets, *sheets[-2:0:-1]]
    with whole_file(path) as file:
        order[0].save(file, format="GIF", save_all=True, append_images=order[1:], duration=PAUSE, loop=0)


def moving(sheets: Sequence[Image.Image], alt: str) -> str:
    """A figure with a slider that chooses the sheet."""
    pictures = "".join(
        f'<img src="{picture_source(_png(sheet))}" alt="{escape(printable(alt))}, {i + 1} of {len(sheets)}"'
        f"{'' if i == 0 else ' hidden'}>"
        for i, sheet in enumerate(sheets)
    )
    slider = f'<input type="range" min="0" max="{len(sheets) - 1}" value="0" aria-label="{escape(printable(alt))}">'
    return f"<figure data-moves><div>{pictures}</div><div>{slider}</div></figure>"


def still(png: bytes, alt: str) -> str:
    """A figure of one picture."""
    return f'<figure><img src="{picture_source(png)}" alt="{escape(printable(alt))}"></figure>'


def score_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of "score" and "value" as a table, "" for none."""
    if not rows:
        return ""
    cells = "".join(f"<tr><th>{escape(str(row['score']))}</th><td>{row['value']:.3g}</td></tr>" for row in rows)
    return f"<table>{cells}</table>"


def save_page(path: Path, title: str, panels: Sequence[tuple[str, str, str]]) -> None:
    """One page of panels; raises StorageError.

    Args:
        path: Of the HTML file.
        title: Which model on which data.
        panels: A name, what it shows, and its figures as HTML each.
    """
    body = [f"<h2>{escape(name)}</h2>\n<p>{escape(words)}</p>\n{figures}" for name, words, figures in panels]
    page = html_page(title, body, STYLE, SCRIPT)
    with whole_file(path) as file:
        file.write(page.encode())


def _png(sheet: Image.Image) -> bytes:
    file = io.BytesIO()
    sheet.save(file, format="PNG")
    return file.getvalue()
