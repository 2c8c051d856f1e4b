"""The files of CIFAR-10 and CIFAR-100: the binary version and the Python version, each in a folder or a `.tar.gz`.

A record of the binary version is one or two label bytes and then 3,072 of pixels: 1,024 of red, of green, of blue, rows
from the top. A file of the Python version is a pickled dictionary with the same pixels in the array `data` (n, 3072)
and the labels in a list (Krizhevsky, 2009; www.cs.toronto.edu/~kriz/cifar.html).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genkit.data.array_parts import ArrayPart
from genkit.data.arrays import Array
from genkit.data.dataset import SplitName
from genkit.data.published.files import AGAIN, NamedFiles
from genkit.data.published.forms import PublishedForm, labelled_part
from genkit.data.published.plain_pickle import plain_dictionary
from genkit.errors import DataError

SIDE = 32
PIXELS = 3 * SIDE * SIDE


@dataclass(frozen=True)
class CifarFiles(PublishedForm):
    """The files of either version.

    Attributes:
        train, test: Names of the files, without an ending.
        classes: By number.
        ending: Of the files' names.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: Sequence[str]
    ending: str = ""

    def wanted(self, names: Collection[str]) -> Mapping[str, str | None]:
        files = [stem + self.ending for stem in (*self.train, *self.test)]
        return {name: name if name in names else None for name in files}

    def parts(self, files: NamedFiles, names: Mapping[str, str]) -> list[ArrayPart]:
        splits: tuple[tuple[SplitName, tuple[str, ...]], ...] = (("train", self.train), ("test", self.test))
        return [self._part(files, stem + self.ending, split) for split, stems in splits for stem in stems]

    def _part(self, files: NamedFiles, name: str, split: SplitName) -> ArrayPart:
        pixels, labels = self.read(files.read(name), files.place(name))
        images = pixels.reshape(-1, 3, SIDE, SIDE)
        return labelled_part(name, images, labels, self.classes, split=split, place=files.place(name))

    @abstractmethod
    def read(self, data: bytes, place: str) -> tuple[Array, Array]:
        """Pixels (n, 3072) uint8 and labels (n,) of a file's bytes. Raises DataError."""


@dataclass(frozen=True)
class CifarBinary(CifarFiles):
    """The binary version.

    Attributes:
        label_bytes: Of a record.
        label: The one of them that is meant.
    """

    ending: str = ".bin"
    label_bytes: int = 1
    label: int = 0

    def read(self, data: bytes, place: str) -> tuple[Array, Array]:
        record = self.label_bytes + PIXELS
        if not data or len(data) % record:
            raise DataError(f"{place}: {len(data):,} bytes, which are no records of {record:,} bytes: {AGAIN}")
        records = np.frombuffer(data, np.uint8).reshape(-1, record)
        return records[:, self.label_bytes :], records[:, self.label]


@dataclass(frozen=True)
class CifarPickles(CifarFiles):
    """The Python version, see `genkit.data.published.plain_pickle`.

    Attributes:
        key: Of the labels.
    """

    key: str = "labels"

    def read(self, data: bytes, place: str) -> tuple[Array, Array]:
        found = plain_dictionary(data, place)
        pixels, labels = found.get("data"), found.get(self.key)
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (PIXELS,):
            raise DataError(f"{place}: no array data of bytes (n, {PIXELS}) in it: {AGAIN}")
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise DataError(f"{place}: no list {self.key} of whole numbers in it: {AGAIN}")
        return pixels, np.array(labels, dtype=np.int64)
