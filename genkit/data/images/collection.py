"""Images with their names, labels and splits, wherever they come from: what is prepared into arrays.

A collection knows its images by number, in an order that depends on their names alone. `header` and `pixels` raise
`BadImage` with the reason where one cannot be used; whether that ends the work is the caller's decision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from genkit.data.dataset import SplitName
from genkit.data.images.decoding import Header, Pixels, decode, read_header


@dataclass
class Skipped:
    """The contents of a source besides images.

    Attributes:
        hidden: Number of hidden files and folders.
        others: Number of files that are no images and do not claim to be.
        bad: (name, reason) of files that should be images and cannot be opened as files.
    """

    hidden: int = 0
    others: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)


class ImageCollection(ABC):
    """Images by number.

    Attributes:
        names: Of each, as messages show it and as a file of labels refers to it.
        classes: The name of each image's class, or None where there are no labels.
        order: Names of all classes by number, where the source has an order of its own; None: of those there are, in
            the order of `genkit.data.images.class_labels`.
        parts: The split that each belongs to, None where the source has no splits.
        skipped: What else was found.
    """

    names: Sequence[str]
    classes: Sequence[str] | None
    order: Sequence[str] | None = None
    parts: Sequence[SplitName] | None
    skipped: Skipped

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def content(self) -> str:
        """sha256 of all that the source holds, read now."""

    @abstractmethod
    def state(self) -> list[list[object]]:
        """Name, size, times and number of each file: as long as they stay, so do the contents."""

    @abstractmethod
    def header(self, i: int) -> Header:
        """Size and colours of image i. Raises BadImage."""

    @abstractmethod
    def pixels(self, i: int, channels: int) -> Pixels:
        """Image i, (H, W, C) uint8 with C = 1 or 3. Raises BadImage."""


class EncodedImages(ImageCollection):
    """Images in the bytes of files, of members of an archive, or of the rows of a table."""

    @abstractmethod
    def read(self, i: int) -> bytes:
        """The bytes of image i. Raises BadImage."""

    def header(self, i: int) -> Header:
        return read_header(self.read(i))

    def pixels(self, i: int, channels: int) -> Pixels:
        return decode(self.read(i), channels)
