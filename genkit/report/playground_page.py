"""The playground as files to show: one page with a slider and a button, and an animation.

The page holds its frames as images and loads nothing. Served while a model trains, the same script asks for the list of
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
from genkit.storage.atomic import whole_file

FOLDER, NAME, FRAMES = "playground", "playground", "frames.json"
PAUSE, LAST = 500, 2500  # milliseconds of a frame, and of the last one
STYLE = """
body { max-width: 74rem; } figure { margin: 0; }
#frame { width: 100%; aspect-ratio: 16 / 9; background: #fff; border-radius: 6px; display: block; }
#row { display: flex; align-items: center; gap: 1rem; margin: .75rem 0; }
#row input { flex: 1; min-width: 0; }
button { font: inherit; color: inherit; background: transparent; border: 1px solid var(--faint); border-radius: 8px;
  padding: .5rem 1.1rem; min-height: 44px; min-width: 5.5rem; cursor: pointer; }
figcaption { min-height: 3em; } #verdict { color: var(--ink); }
"""
SCRIPT = """
"use strict";
const at = id => document.getElementById(id), slider = at("step");
let data = JSON.parse(at("data").textContent), follows = data.live, timer = 0;
function show() {
  const frame = data.frames[slider.valueAsNumber];
  if (!frame) return;
  at("frame").src = frame.source || frame.file;
  at("frame").alt = "truth, model and samples: " + frame.caption;
  at("caption").textContent = "step " + frame.step.toLocaleString("en") + ": " + frame.caption;
}
function take(found) {
  data = found; slider.max = Math.max(0, data.frames.length - 1); slider.disabled = data.frames.length < 2;
  at("verdict").textContent = data.verdict || (data.live ? "training …" : "");
  if (follows) slider.value = slider.max;
  show();
}
function stop() { clearInterval(timer); timer = 0; at("play").textContent = "Play"; }
function play() {
  if (timer) return stop();
  follows = false;
  if (slider.value === slider.max) slider.value = 0;
  at("play").textContent = "Pause"; show();
  timer = setInterval(() => {
    if (slider.valueAsNumber >= data.frames.length - 1) return stop();
    slider.valueAsNumber += 1; show();
  }, 600);
}
async function poll() {
  let wait = 1000;
  try {
    const reply = await fetch("list");
    if (reply.ok) {
      const found = await reply.json();
      found.live = !found.verdict; take(found);
      if (!found.live) wait = 0;
    }
  } catch { at("verdict").textContent = "The training does not answer any more."; wait = 0; }
  if (wait) setTimeout(poll, wait);
}
slider.addEventListener("input", () => { stop(); follows = slider.value === slider.max && data.live; show(); });
at("play").addEventListener("click", play);
take(data);
if (data.live) poll();
"""


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
        '<figure><img id="frame" alt=""><div id="row"><button id="play">Play</button>'
        '<input id="step" type="range" min="0" max="0" value="0" aria-label="frame"></div>'
        '<figcaption id="caption" aria-live="polite"></figcaption></figure>',
        f'<p id="verdict">{escape(verdict)}</p>',
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
