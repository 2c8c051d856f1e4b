"""Pictures of one training, one after the other, as a GIF: each says its own step in its title."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from genkit.report.page.frames import PIXELS, chosen
from genkit.storage.atomic import whole_file

MOST = 30  # frames
WIDEST = 560  # pixels
LONG, SHORTEST, LAST = 5000, 120, 1500  # milliseconds of all frames, of one at least, and of the last one


def save_pictures(path: Path, pictures: Sequence[Path]) -> None:
    """Write the pictures as a GIF that repeats, each as large as the last one, which stays longest.

    Raises:
        OSError: a picture cannot be read.
        StorageError: the disk refuses.
    """
    frames = [_frame(picture) for picture in chosen(pictures, MOST)]
    frames = [frame if frame.size == frames[-1].size else frame.resize(frames[-1].size) for frame in frames]
    pause = max(SHORTEST, LONG // len(frames))
    durations = [*[pause] * (len(frames) - 1), LAST]
    with whole_file(path) as file:
        frames[0].save(file, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)


def _frame(path: Path) -> Image.Image:
    with Image.open(path, formats=("PNG",)) as stored:
        if stored.width * stored.height > PIXELS:
            raise OSError(f"{path}: too large to be decoded")
        picture = stored.convert("RGB")
    picture.thumbnail((WIDEST, 4 * WIDEST))
    return picture.quantize(64, dither=Image.Dither.NONE)
