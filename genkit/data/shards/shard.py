"""The contract of a shard: a file of images that can be listed in its order, and read at places."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from genkit.data.images.decoding import BadImage


class Shard(ABC):
    """A file of images, as it is when it is indexed.

    Attributes:
        path: It.
        names: Of the images.
        classes: The name of each one's class, "" without.
        order: All classes by number, where the file has an order of its own.
        bad: (name, reason) of what should be an image and is none.
    """

    path: Path
    names: Sequence[str]
    classes: Sequence[str]
    order: tuple[str, ...] | None = None
    bad: Sequence[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def place(self, i: int) -> int:
        """The place of image i: the offset of its bytes, or the number of its row group."""

    @abstractmethod
    def contents(self) -> Iterator[bytes | BadImage]:
        """The bytes of each image, in order; or why there are none."""
