"""A user's own examples, read as the data that a model knows: a file of samples, one picture, or a folder of pictures.

Arrays, tables and text are read as `genkit.data.samples` does, and have to be what the data stores. Pictures may be of
any size and form: they are turned, cut to the model's proportions in the middle, resized and made grey or colour by the
rules of `data=images`, and their grey levels are those that the data has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genkit.data.image_folder import LOSSY, OTHERS, PNG
from genkit.data.images.decoding import BadImage, Pixels, decode
from genkit.data.images.folder import FolderImages, read_whole
from genkit.data.images.framing import Frame
from genkit.data.kinds import Quantised
from genkit.data.on_disk import aloud
from genkit.data.samples import GIVE, NOTE, SAMPLES, read_samples
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.data.tables.files import is_table
from genkit.data.tables.gaps import read_with_gaps
from genkit.data.tables.kind import Tabular
from genkit.errors import DataError
from genkit.printing import shown

PICTURES = (PNG, *LOSSY, *OTHERS)
BYTES = 255  # the largest value of a pixel


@dataclass(frozen=True)
class Given:
    """Examples and what they are called.

    Attributes:
        split: Stored values, labelled where the file is.
        names: Of each: its file, or its number in the file.
        known: Bool (n, *shape), where some of their values are missing; None where all are there.
    """

    split: Split
    names: tuple[str, ...]
    known: Tensor | None = None


def read_given(path: Path | str, spec: DataSpec, say: Callable[[str], None] = aloud, *, gaps: bool = False) -> Given:
    """Read examples from a file or folder.

    Args:
        path: A picture (JPEG, PNG, WebP, BMP, GIF, TIFF), a folder of such at any depth, or whatever `read_samples`
            takes.
        spec: The data that they are to be.
        say: Receives a line where pictures are not used as they are.
        gaps: Whether the empty cells of a table are unknown values.

    Raises:
        DataError: nothing there can be read as such data; a picture, and the data is none.
    """
    path = Path(path)
    if path.is_dir() and not ((path / SAMPLES).exists() and (path / NOTE).exists()):
        return _pictures(FolderImages(path), path, spec, say)
    if path.suffix.lower() in PICTURES and path.is_file():
        _require_images(path, spec)
        try:
            pixels = decode(read_whole(path), spec.shape[0])
        except BadImage as error:
            raise DataError(f"{shown(path)}: not a picture that can be read ({error}); {GIVE}") from error
        return Given(InMemory(_stored([pixels], spec, path, say)), (path.name,))
    if gaps and is_table(path) and isinstance(spec.kind, Tabular):
        rows, known = read_with_gaps(path, spec)
        return Given(rows, tuple(f"{path.name} {i}" for i in range(len(rows))), known)
    split = read_samples(path, spec)
    return Given(split, tuple(f"{path.name} {i}" for i in range(len(split))))


def _pictures(images: FolderImages, path: Path, spec: DataSpec, say: Callable[[str], None]) -> Given:
    _require_images(path, spec)
    for name, reason in images.skipped.bad:
        raise DataError(f"{shown(path)}: {shown(name)} cannot be used ({reason}): take it out of the folder")
    if not images.names:
        raise DataError(f"{shown(path)}: no pictures in this folder; {GIVE}")
    pixels = []
    for i, name in enumerate(images.names):
        try:
            pixels.append(images.pixels(i, spec.shape[0]))
        except BadImage as error:
            raise DataError(f"{shown(path)}: {shown(name)} cannot be read ({error}): take it out") from error
    return Given(InMemory(_stored(pixels, spec, path, say)), tuple(images.names))


def _require_images(path: Path, spec: DataSpec) -> None:
    if spec.modality != "image" or not isinstance(spec.kind, Quantised) or spec.shape[0] not in (1, 3):
        raise DataError(f"{shown(path)}: pictures, and the model's data is {spec.modality} data, {spec.words}")


def _stored(pixels: list[Pixels], spec: DataSpec, path: Path, say: Callable[[str], None]) -> Tensor:
    """Pictures (H, W, C) of any size to stored values (n, C, H, W)."""
    assert isinstance(spec.kind, Quantised)
    _, height, width = spec.shape
    frame, top = Frame(height, width), spec.kind.levels - 1
    sizes = sorted({f"{image.shape[1]}x{image.shape[0]}" for image in pixels} - {f"{width}x{height}"})
    if sizes:
        found = sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes"
        say(f"{shown(path)}: {found} -> {width}x{height}, as the model has it, centre crop")
    framed = np.stack([frame.apply(image) for image in pixels]).transpose(0, 3, 1, 2)
    v = torch.from_numpy(np.ascontiguousarray(framed))
    return v if top == BYTES else spec.kind.nearest(v.to(torch.float64) * (top / BYTES))
