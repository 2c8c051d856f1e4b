"""The IDX files of MNIST and of the sets that take its form: 28x28 grey images and their labels, plain or gzipped.

A file is a big-endian header, then the values: two zero bytes, the type (8: uint8), the number d of dimensions, d
sizes of 32 bits, and as many bytes as their product (LeCun, Cortes and Burges, yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from genkit.data.array_parts import ArrayPart
from genkit.data.arrays import MOST_DEFLATED
from genkit.data.dataset import SplitName
from genkit.data.published.files import NamedFiles
from genkit.data.published.forms import PublishedForm, labelled_part, require_shape
from genkit.errors import DataError

SHAPE = (28, 28, 1)  # (height, width, channels) of an image
UINT8 = 8
LARGEST = 2**31  # bytes: a header that promises more is damaged
GZIP = b"\x1f\x8b"
ARRAYS = {  # array -> stem of its file and number of dimensions
    "x_train": ("train-images", 3),
    "y_train": ("train-labels", 1),
    "x_test": ("t10k-images", 3),
    "y_test": ("t10k-labels", 1),
}


def idx_array(data: bytes, dims: int, place: str) -> NDArray[np.uint8]:
    """The uint8 array of `dims` dimensions in the bytes of an IDX file, unpacked where they are gzipped.

    Raises DataError, which begins with `place`, where the file is damaged or holds something else.
    """
    try:
        plain = io.BytesIO(data)
        file = gzip.GzipFile(fileobj=plain) if data.startswith(GZIP) else plain
        magic, shape = read_header(file.read(4 + 4 * dims), dims)
        if magic != (0, UINT8, dims) or prod(shape) > min(LARGEST, MOST_DEFLATED * len(data)):
            raise DataError(f"{place}: not an IDX file of {dims}-dimensional uint8 data; put the original file there")
        values = file.read(prod(shape) + 1)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{place}: cannot be read ({type(error).__name__}); put the original file there") from error
    if len(values) != prod(shape):
        raise DataError(f"{place}: the header promises {prod(shape):,} bytes, the file has others; fetch it again")
    return np.frombuffer(bytearray(values), dtype=np.uint8).reshape(shape)


def read_header(header: bytes, dims: int) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """(zeros, type, number of dimensions) and the sizes."""
    zeros, kind, count, *shape = struct.unpack(f">HBB{dims}I", header)
    return (zeros, kind, count), tuple(shape)


def published_name(array: str) -> str:
    """The name that the file of an array was published under, without .gz."""
    stem, dims = ARRAYS[array]
    return f"{stem}-idx{dims}-ubyte"


def idx_names(names: Collection[str]) -> dict[str, str]:
    """Array -> its file, of those that are among these names under any of their usual ones."""
    found = {}
    for array, (stem, dims) in ARRAYS.items():
        usual = [f"{stem}{dot}idx{dims}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")]
        there = next((name for name in usual if name in names), None)
        if there is not None:
            found[array] = there
    return found


@dataclass(frozen=True)
class IdxForm(PublishedForm):
    """The four files.

    Attributes:
        classes: By number.
    """

    classes: Sequence[str]

    def wanted(self, names: Collection[str]) -> Mapping[str, str | None]:
        found = idx_names(names)
        return {published_name(array): found.get(array) for array in ARRAYS}

    def parts(self, files: NamedFiles, names: Mapping[str, str]) -> list[ArrayPart]:
        return [self._part(files, names, "train"), self._part(files, names, "test")]

    def _part(self, files: NamedFiles, names: Mapping[str, str], split: SplitName) -> ArrayPart:
        x, y = (names[published_name(f"{what}_{split}")] for what in "xy")
        images = idx_array(files.read(x), 3, files.place(x))
        require_shape(images, SHAPE, files.place(x))
        labels = idx_array(files.read(y), 1, files.place(y))
        return labelled_part(split, images, labels, self.classes, split=split, place=files.place(y))
