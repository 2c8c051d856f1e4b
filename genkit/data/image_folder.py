"""A folder of PNG images as one array. Other files are refused by name, never skipped."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from genkit.errors import DataError
from genkit.printing import shown

Array = NDArray[np.generic]

PNG = ".png"
LOSSY = (".jpg", ".jpeg", ".jfif")  # pictures whose pixels are not those that were sampled
OTHERS = (".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp", ".avif", ".heic", ".jp2")
ARRAYS = (".npz", ".npy")
GIVE = "give a folder of PNG images or an .npz with key x"


def read_folder(path: Path) -> Array:
    """(n, H, W, C) uint8, C = 1 or 3: the images of a folder in the order of their names; hidden files do not count.

    Raises DataError where the folder has none, other images, images in subfolders, or images of several sizes.
    """
    entries = sorted(entry for entry in path.glob("*") if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.suffix.lower() == PNG]
    _refuse_others(path, entries)
    _refuse_subfolders(path, entries, len(files))
    if not files:
        raise DataError(f"{shown(path)}: no .png files in this folder; {GIVE}")
    images = [_read_png(file) for file in files]
    odd = next((file for file, image in zip(files, images, strict=True) if image.shape != images[0].shape), None)
    if odd is not None:
        first = shown(files[0].name)
        raise DataError(f"{shown(odd)}: its shape differs from that of {first}: all images need one size and mode")
    return np.stack(images)


def _refuse_others(path: Path, entries: list[Path]) -> None:
    for entry in entries:
        name, suffix = shown(entry.name), entry.suffix.lower()
        if suffix in LOSSY:
            raise DataError(f"{shown(path)}: {name} is JPEG, which changes pixels: write PNG, or an .npz with key x")
        if suffix in OTHERS:
            raise DataError(f"{shown(path)}: {name} is no PNG: write PNG, or an .npz with key x")
        if suffix in ARRAYS:
            raise DataError(f"{shown(path)}: a folder with {name} in it: name {shown(entry)} itself, or take it out")


def _refuse_subfolders(path: Path, entries: list[Path], here: int) -> None:
    """Images below the folder would be samples that nobody counted."""
    found = [entry for entry in entries if entry.suffix.lower() != PNG and entry.is_dir() and holds_images(entry)]
    if not found:
        return
    names = ", ".join(shown(entry.name) for entry in found[:3]) + (", …" if len(found) > 3 else "")
    if here:
        raise DataError(
            f"{shown(path)}: {here:,} images here and more in the subfolder{'s' * (len(found) > 1)} {names}: "
            "put all of them into one folder, or take the others out"
        )
    raise DataError(
        f"{shown(path)}: the images are in {len(found)} subfolder{'s' * (len(found) > 1)} ({names}): "
        "put all of them into one folder, or name one of these; labels go with an .npz (arrays x and y)"
    )


def holds_images(folder: Path) -> bool:
    """Tell whether a picture of any kind lies in or below a folder; links to folders are not followed."""
    kinds = (PNG, *LOSSY, *OTHERS)
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if any(name.lower().endswith(kinds) and not name.startswith(".") for name in files):
            return True
    return False


def _read_png(path: Path) -> Array:
    """(H, W, C) uint8, C = 1 or 3."""
    if not path.is_file():  # a pipe would wait endlessly for a writer
        raise DataError(f"{shown(path)}: no regular file; take it out of the folder")
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path, formats=("PNG",)) as image,
        ):
            if image.mode not in ("L", "RGB"):
                raise DataError(f"{shown(path)}: a PNG of mode {image.mode}; store 8-bit grey (L) or RGB")
            return np.atleast_3d(np.asarray(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{shown(path)}: more than {Image.MAX_IMAGE_PIXELS:,} pixels; take it out of the folder"
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{shown(path)}: not a readable PNG image") from error
