"""Pictures over time in a page: one is shown, a slider and a button choose which."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from genkit.report.page.elements import safe

MOST = 40  # frames of a page
BUDGET = 2_500_000  # bytes of all frames of a page
WIDEST, QUALITY = 900, 80  # of a frame that is made smaller
LARGEST = 32 * 2**20  # bytes of a picture that is read at all
PIXELS = 64_000_000  # and pixels that are decoded
MAGIC = {b"\x89PNG\r\n\x1a\n": "png", b"RIFF": "webp"}


@dataclass(frozen=True)
class FilmFrame:
    """A picture.

    Attributes:
        name: What distinguishes it from the other frames, such as "step 500".
        data: A PNG or a WebP.
    """

    name: str
    data: bytes

    @property
    def source(self) -> str:
        """The address of the image, which holds it."""
        kind = next((kind for magic, kind in MAGIC.items() if self.data.startswith(magic)), "png")
        return f"data:image/{kind};base64,{base64.b64encode(self.data).decode()}"


def chosen(paths: Sequence[Path], most: int = MOST) -> list[Path]:
    """At most `most` of the pictures, the first and the last among them, equally far apart."""
    if len(paths) <= most:
        return list(paths)
    return [paths[round(i * (len(paths) - 1) / (most - 1))] for i in range(most)]


def fitting(frames: Sequence[FilmFrame], budget: int = BUDGET) -> list[FilmFrame]:
    """The frames in at most about `budget` bytes: encoded again where they are large, then fewer of them."""
    if sum(len(frame.data) for frame in frames) > budget:
        frames = [smaller(frame) for frame in frames]
    while len(frames) > 1 and sum(len(frame.data) for frame in frames) > budget:
        frames = [*frames[:-1:2], frames[-1]] if len(frames) > 2 else frames[-1:]
    return list(frames)


def smaller(frame: FilmFrame) -> FilmFrame:
    """The picture as a WebP of at most 900 pixels' width, where that is smaller; itself where it cannot be read."""
    try:
        with Image.open(io.BytesIO(frame.data), formats=("PNG",)) as stored:
            if stored.width * stored.height > PIXELS:
                return frame
            picture = stored.convert("RGB")
            picture.thumbnail((WIDEST, 4 * WIDEST))
            file = io.BytesIO()
            picture.save(file, "WEBP", quality=QUALITY)
    except (OSError, ValueError, SyntaxError):
        return frame
    return FilmFrame(frame.name, file.getvalue()) if file.tell() < len(frame.data) else frame


def film(frames: Sequence[FilmFrame], what: str) -> str:
    """A figure of the frames, the last one shown; a slider and a button where there are several; "" for none.

    Args:
        frames: In their order.
        what: What they show, plain text.
    """
    if not frames:
        return ""
    last = len(frames) - 1
    pictures = "".join(
        f'<img src="{frame.source}" alt="{safe(what)}, {safe(frame.name, 80)}" data-name="{safe(frame.name, 80)}"'
        f"{'' if i == last else ' hidden'}>"
        for i, frame in enumerate(frames)
    )
    moves = "" if last == 0 else (
        f'<div class="moves"><button type="button">Play</button>'
        f'<input type="range" min="0" max="{last}" value="{last}" aria-label="{safe(what)}"></div>'
    )  # fmt: skip
    name = f'<output class="reading">{safe(frames[-1].name, 80)}</output>'
    return f'<figure class="film"><div class="frames">{pictures}</div>{moves}{name}</figure>'
