"""Splits and classes that the names of images say: `train/cat/001.jpg` is a cat of the training split.

Where all first folders are named train, val or test, they are splits, and the class is the folder below; else the class
is the first folder. Folders that all images lie in say nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from genkit.data.dataset import SplitName

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
SPLITS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


def claims_to_be_image(name: str) -> bool:
    """Tell whether a file has a name that only images have."""
    return name.lower().endswith(SUFFIXES)


def place_of(names: Sequence[str]) -> tuple[list[SplitName] | None, list[str]]:
    """The split of each image, None where there are none, and the name of its class ("": outside of any folder)."""
    names = without_common_folder(names)
    firsts = {name.split("/", 1)[0] if "/" in name else "" for name in names}
    if "train" not in {SPLITS.get(first.lower()) for first in firsts} or not all(
        first.lower() in SPLITS for first in firsts
    ):
        return None, [class_of(name) for name in names]
    parts = [SPLITS[name.split("/", 1)[0].lower()] for name in names]
    return parts, [class_of(name.split("/", 1)[1]) for name in names]


def without_common_folder(names: Sequence[str]) -> Sequence[str]:
    """The names without the folders that all of them lie in, as archives often have one."""
    if not names:
        return names
    common = os.path.commonpath([name.rpartition("/")[0] for name in names])
    if common in ("", "."):
        return names
    prefix = len(common) + 1
    return [name[prefix:] for name in names]


def class_of(name: str) -> str:
    """The first folder of a name, "" where it has none."""
    return name.split("/", 1)[0] if "/" in name else ""
