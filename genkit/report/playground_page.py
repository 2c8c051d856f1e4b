"""The playground as files to show: one page with a slider and a button, and an animation.

The page holds its frames as images, shows their parts beside each other or, on a phone, below each other, and loads
nothing. Served while a model trains, the same script asks for the list of
frames every second and follows the newest one until somebody moves the slider.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from genkit.report.html import html_page, picture_source
from genkit.report.playground_script import SCRIPT, STYLE
from genkit.storage.atomic import whole_file

FOLDER, NAME, FRAMES = "playground", "playground", "frames.json"
PAUSE, LAST = 500, 2500  # milliseconds of a frame, and of the last one


def playground_page(title: str, frames: Sequence[Mapping[str, Any]], verdict: str, live: bool = False) -> str:
    """A page of frames.

    Args:
        title: Model and data.
        frames: "step", "caption", and "source", an address of the image, each.
        verdict: What became of it; "": nothing yet.
        live: Whether the page asks a server for more.
    """
    data = json.dumps({"frames": list(frames), "verdict": verdict, "live": live}, allow_nan=False)
    body = [
        '<figure><img id="frame" alt=""><div id="panels" hidden></div>'
        '<div id="row"><button id="play">Play</button>'
        '<input id="step" type="range" min="0" max="0" value="0" aria-label="frame"></div>'
        '<figcaption id="caption" aria-live="polite"></figcaption></figure>',
        f'<p id="verdict">{escape(verdict)}</p>',
        '<figure id="distance" hidden></figure>',
        f'<script id="data" type="application/json">{data.replace("<", chr(92) + "u003c")}</script>',
    ]
    return html_page(title, body, STYLE, SCRIPT, served=live)


def save_playground(
    folder: Path, title: str, frames: Sequence[Mapping[str, Any]], verdict: str, name: str = NAME
) -> None:
    """NAME.html and NAME.webp of the frames ("file", "step", "caption" each) in a folder; raises StorageError."""
    held = [{**frame, "source": picture_source((folder / frame["file"]).read_bytes())} for frame in frames]
    with whole_file(folder / f"{name}.html") as file:
        file.write(playground_page(title, held, verdict).encode())
    images = []
    for frame in frames:
        with Image.open(folder / frame["file"]) as image:
            images.append(image.convert("RGB"))
    pauses = [PAUSE] * (len(images) - 1) + [LAST]
    with whole_file(folder / f"{name}.webp") as file:
        images[0].save(
            file, format="WEBP", save_all=True, append_images=images[1:], duration=pauses, loop=0, quality=80
        )
