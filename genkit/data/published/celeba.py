"""Faces of CelebA with the splits and attributes that its lists say.

`list_eval_partition.txt` has an image and 0 (training), 1 (validation) or 2 (test) in each line.
`list_attr_celeba.txt` has the number of images, the names of forty attributes, and then lines of an image and 1 or −1
for each of them. Both are read as CSV with a header too. The lists must name every image and no others.

The aligned images are 178x218 with the face in the middle; as is usual, the middle 148x148 of each is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from genkit.data.dataset import SplitName
from genkit.data.images.class_labels import value_of_each
from genkit.data.images.collection import ImageCollection
from genkit.data.images.decoding import Header, Pixels
from genkit.data.source_files import SourceFiles
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import read_regular

PARTITION, ATTRIBUTES = "list_eval_partition", "list_attr_celeba"
ENDINGS = (".txt", ".csv")
SPLITS: dict[str, SplitName] = {"0": "train", "1": "val", "2": "test"}
LARGEST_LIST = 2**28
MOST_NAMED = 8
AGAIN = "fetch it again"


class CroppedImages(ImageCollection):
    """The middle of each image of another collection.

    Args:
        images: The other.
        crop: Largest side of what is shown, in pixels; None: all.
        files: What splits and classes were read from.
    """

    def __init__(self, images: ImageCollection, crop: int | None, files: SourceFiles) -> None:
        self.images, self.crop, self.files = images, crop, files
        self.names, self.skipped = images.names, images.skipped
        self.parts, self.classes = images.parts, None

    def content(self) -> str:
        return self.images.content() + self.files.content()

    def state(self) -> list[list[object]]:
        return [*self.images.state(), *self.files.state()]

    def header(self, i: int) -> Header:
        found = self.images.header(i)
        return Header(self._shown(found.width), self._shown(found.height), found.grey)

    def pixels(self, i: int, channels: int) -> Pixels:
        pixels = self.images.pixels(i, channels)
        height, width = (self._shown(side) for side in pixels.shape[:2])
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        return pixels[top : top + height, left : left + width]

    def _shown(self, side: int) -> int:
        return side if self.crop is None else min(side, self.crop)


def faces(
    images: ImageCollection, lists: dict[str, Path], attribute: str | None, crop: int | None, files: SourceFiles
) -> CroppedImages:
    """The images with their splits, and with an attribute as the class.

    Args:
        images: All of them.
        lists: PARTITION and ATTRIBUTES -> the file, where it is there.
        attribute: The name of one, None for no classes.
        crop: See `CroppedImages`.
        files: The lists.

    Raises:
        DataError: a list is damaged, does not name all images and no others, or has no such attribute.
    """
    found = CroppedImages(images, crop, files)
    if PARTITION in lists:
        path = lists[PARTITION]
        numbers = value_of_each(images.names, partition_rows(path), path)
        found.parts = [SPLITS[number] for number in numbers]
    if attribute is not None:
        path = lists[ATTRIBUTES]
        values = value_of_each(images.names, attribute_rows(path, attribute), path)
        found.order = (f"not {attribute}", attribute)
        found.classes = [found.order[value == "1"] for value in values]
    return found


def lists_in(folders: Sequence[Path]) -> dict[str, Path]:
    """PARTITION and ATTRIBUTES -> its file in the first of the folders that has it."""
    places = {
        name: [folder / f"{name}{end}" for folder in folders for end in ENDINGS] for name in (PARTITION, ATTRIBUTES)
    }
    return {name: file for name, files in places.items() if (file := next((f for f in files if f.is_file()), None))}


def partition_rows(path: Path) -> list[tuple[str, str]]:
    """(image, "0", "1" or "2") of each line. Raises DataError."""
    rows = [row for row in _rows(path) if row[0] != "image_id"]
    return [(row[0], row[1]) for row in _checked(path, rows, 2, lambda row: row[1] in SPLITS)]


def attribute_rows(path: Path, attribute: str) -> list[tuple[str, str]]:
    """(image, "1" or "-1") of each line. Raises DataError where there is no such attribute."""
    rows = _rows(path)
    if len(rows[0]) == 1:  # the number of images
        rows = rows[1:]
    if len(rows) < 2:
        raise DataError(f"{shown(path)}: no attributes in it: {AGAIN}")
    names, rows = rows[0], rows[1:]
    names = names[1:] if names[0] == "image_id" else names
    if attribute not in names:
        some = ", ".join(map(shown, names[:MOST_NAMED])) + (", …" if len(names) > MOST_NAMED else "")
        raise DataError(f"{shown(path)}: no attribute {shown(attribute)}: data.attribute= is one of {some}")
    at = names.index(attribute) + 1
    return [(row[0], row[at]) for row in _checked(path, rows, len(names) + 1, lambda row: row[at] in ("1", "-1"))]


def _rows(path: Path) -> list[list[str]]:
    try:
        text = read_regular(path, LARGEST_LIST, advice=AGAIN).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(path)}: no text: {AGAIN}") from error
    rows = [[cell for cell in re.split(r"[,\s]+", line) if cell] for line in text.splitlines()]
    rows = [row for row in rows if row]
    if not rows:
        raise DataError(f"{shown(path)}: an empty file: {AGAIN}")
    return rows


def _checked(path: Path, rows: list[list[str]], cells: int, fine: Callable[[list[str]], bool]) -> list[list[str]]:
    for row in rows:
        if len(row) != cells or not fine(row):
            raise DataError(f"{shown(path)}: cannot read the line of {shown(row[0])}: {AGAIN}")
    return rows
