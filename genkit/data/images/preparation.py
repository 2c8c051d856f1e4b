"""A collection of images to three splits on disk: every image is decoded, framed and checked once.

Decoded images go to a scratch file in the order of the source, and from there into the splits in the order of their
hashes: the same images give the same splits, whether they came from a folder, an archive, an array or a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genkit.data.content_split import NAMES
from genkit.data.dataset import SplitName
from genkit.data.images.class_labels import Classes, classes_of
from genkit.data.images.collection import ImageCollection
from genkit.data.images.decoding import BadImage
from genkit.data.images.framing import Crop, Frame, Interpolation
from genkit.data.images.survey import Channels, Survey, chosen_frame, described, surveyed
from genkit.data.on_disk import aloud
from genkit.data.other_source import instead
from genkit.data.prepared import Writer
from genkit.data.scratch import Scratch
from genkit.errors import DataError
from genkit.printing import shown
from genkit.progress import with_progress
from genkit.storage.disk import require_free_disk

MOST_NAMED = 1000  # files that cannot be used and are named one by one
Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageOptions:
    """The treatment of every image.

    Attributes:
        size: (height, width) in pixels, None: by the images.
        crop, interpolation: See `genkit.data.images.framing`.
        channels: 1, 3, or "auto": grey if every image is.
        labels: "folder", "none", a CSV file; None: folders where there are two classes or more.
        max_bad: Files that cannot be used before that is an error.
    """

    size: tuple[int, int] | None = None
    crop: Crop = "centre"
    interpolation: Interpolation = "bicubic"
    channels: Channels = "auto"
    labels: str | None = None
    max_bad: int = 0


class ImagePreparation:
    """One pass over the images of a source.

    Args:
        source: For messages.
        images: The collection.
        options: What is done to them.
        say: Receives the names of files that cannot be used.
    """

    def __init__(self, source: Path, images: ImageCollection, options: ImageOptions, say: Say = aloud) -> None:
        self.source, self.images, self.options, self.say = source, images, options, say

    def write(self, writer: Writer, facts: dict[str, Any]) -> None:
        """Write splits and description. Raises DataError where too little can be used."""
        images, options = self.images, self.options
        self._require_some()
        numbers = with_progress(range(len(images)), "reading headers", len(images))
        survey = surveyed(images, numbers)
        if not survey.good:
            self._refuse_bad(survey)
        self._classes(survey.good, [name for name, _ in survey.bad])  # an error of labels comes before the long work
        frame = chosen_frame(survey, options.size, options.crop, options.interpolation)
        channels = (1 if survey.grey else 3) if options.channels == "auto" else options.channels
        shape = (channels, *frame.stored)
        require_free_disk(
            2 * len(survey.good) * int(np.prod(shape)), writer.folder, "set GENKIT_CACHE to a folder on a larger disk"
        )
        with Scratch(writer, shape, "uint8") as scratch:
            kept = self._decode(scratch, survey, frame, channels)
            self._refuse_bad(survey)
            classes = self._classes(kept, [name for name, _ in survey.bad])
            parts = None if images.parts is None else [images.parts[i] for i in kept]
            labels = None if classes.numbers is None else np.array(classes.numbers)
            placed = scratch.place(parts, labels, shown(self.source))
        names = {name: [images.names[kept[i]] for i in placed.rows[name]] for name in NAMES}
        about = {
            "shape": [channels, frame.height, frame.width],
            "classes": list(classes.names),
            "line": self._line(len(kept), classes, described(survey, frame, channels), len(survey.bad)),
            "bad": survey.bad[:MOST_NAMED],
            "duplicates": duplicates(placed.hashes, placed.splits),
        }
        writer.describe(about, names, facts)

    def _require_some(self) -> None:
        if len(self.images) == 0:
            bad = self.images.skipped.bad
            for name, reason in bad[:MOST_NAMED]:
                self.say(f"{shown(name)}: {reason}")
            others = self.images.skipped.others
            found = f"{others:,} other file{'s' * (others > 1)}" if others else "nothing else"
            unread = f", {len(bad):,} that cannot be read" if bad else ""
            raise DataError(
                f"{shown(self.source)}: no images in it ({found}{unread}): give a folder, a .zip or a .tar of "
                f"JPEG, PNG, WebP, BMP, GIF or TIFF files{instead(self.source, 'images')}"
            )

    def _decode(self, scratch: Scratch, survey: Survey, frame: Frame, channels: int) -> list[int]:
        """Stored values of the images into the scratch file; returns their numbers in the collection.

        What cannot be decoded goes from the good ones of the survey to the bad ones.
        """
        kept = []
        for i in with_progress(survey.good, "decoding images", len(survey.good)):
            try:
                pixels = frame.apply(self.images.pixels(i, channels))
            except BadImage as error:
                survey.bad.append((self.images.names[i], str(error)))
                continue
            scratch.add(pixels.transpose(2, 0, 1))
            kept.append(i)
        survey.good = kept
        return kept

    def _classes(self, kept: Sequence[int], left_out: Sequence[str]) -> Classes:
        names = [self.images.names[i] for i in kept]
        folders = None if self.images.classes is None else [self.images.classes[i] for i in kept]
        return classes_of(names, folders, self.options.labels, self.source, self.images.order, left_out)

    def _refuse_bad(self, survey: Survey) -> None:
        refuse_bad(self.source, survey.bad, len(survey.good), self.options.max_bad, self.say)

    def _line(self, n: int, classes: Classes, sizes: str, bad: int) -> str:
        found = f"{len(classes.names):,} classes" if classes.names else classes.note
        left = f", {bad:,} left out" if bad else ""
        return f"{n:,} images, {found}, {sizes}{left}"


def refuse_bad(source: Path, bad: Sequence[tuple[str, str]], good: int, max_bad: int, say: Say) -> None:
    """Name each file that cannot be used. Raises DataError where there are more than are allowed, or no others."""
    for name, reason in bad[:MOST_NAMED]:
        say(f"{shown(name)}: {reason}")
    if len(bad) <= max_bad and good:
        return
    raise DataError(
        f"{shown(source)}: {len(bad):,} of {len(bad) + good:,} images cannot be used (named above): take them out, or "
        f"go on without them by data.max_bad={len(bad)}"
    )


def duplicates(hashes: NDArray[np.void], splits: Sequence[SplitName]) -> dict[str, int]:
    """Number of examples that another one before them in the same split equals, and that one of another split does."""
    by_split = {name: Counter(hashes[[s == name for s in splits]].tolist()) for name in NAMES}
    within = sum(count - 1 for counts in by_split.values() for count in counts.values())
    others = set(by_split["val"]) | set(by_split["test"])
    between = sum(count for value, count in by_split["train"].items() if value in others)
    return {"within": within, "between": between}
