"""Files of a cache that say themselves whether they are whole: their own sha256 stands before the content.

64 hexadecimal digits, the sha256 of the rest · a line feed · the content
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.atomic import whole_file
from genkit.storage.regular import open_regular

HEADER = 65  # bytes before the content
ALIGNED = 128  # bytes before an array, header and spaces: rows then begin where a processor likes them to
BLOCK = 2**22  # bytes that are hashed at once


def write_sealed(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all. Raises StorageError where the disk refuses."""
    with whole_file(path, HEADER + len(content)) as file:
        file.write(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def read_sealed(path: Path, largest: int | None = None) -> bytes | None:
    """The content of a file that `write_sealed` wrote; None where there is none.

    Raises:
        DataError: it is damaged, no regular file, or larger than `largest` bytes; None for any.
        StorageError: it may not be read.
    """
    if not os.path.exists(path):
        return None
    with open_regular(path, largest=largest) as file:
        header, content = file.read(HEADER), file.read()
    if header != hashlib.sha256(content).hexdigest().encode() + b"\n":
        raise DataError(f"{shown(path)}: damaged")
    return content


def map_sealed(path: Path) -> NDArray[np.uint8] | None:
    """The content of a file that `write_sealed` wrote, mapped: memory holds what is looked at.

    None where there is no file; errors as `read_sealed`.
    """
    if not os.path.exists(path):
        return None
    with open_regular(path) as file:
        header, digest, size = file.read(HEADER), hashlib.sha256(), 0
        while block := file.read(BLOCK):
            digest.update(block)
            size += len(block)
        if header != digest.hexdigest().encode() + b"\n" or not size:
            raise DataError(f"{shown(path)}: damaged")
        return np.memmap(file, np.uint8, "r", HEADER, (size,))


def write_array(path: Path, rows: Iterable[NDArray[np.float64]], size: int) -> None:
    """Put rows (n_i, D) that follow each other at `path`, as `write_sealed` does, without holding them together.

    Args:
        path: The file.
        rows: In order.
        size: Bytes that they come to, said where the disk is full.

    Raises:
        StorageError: the disk refuses.
    """
    digest = hashlib.sha256(padding := b" " * (ALIGNED - HEADER))
    with whole_file(path, ALIGNED + size) as file:
        file.write(b" " * HEADER + padding)
        for part in rows:
            data = np.ascontiguousarray(part, "<f8").data
            digest.update(data)
            file.write(data)
        file.seek(0)
        file.write(digest.hexdigest().encode() + b"\n")


def map_array(path: Path, shape: tuple[int, int]) -> NDArray[np.float64] | None:
    """The rows of a file that `write_array` wrote, mapped: memory holds what is looked at. None where there is none.

    Changes of the array stay in memory.

    Raises:
        DataError: it is damaged, no regular file, or of another shape.
        StorageError: it may not be read.
    """
    if not os.path.exists(path):
        return None
    with open_regular(path) as file:
        header, digest, size = file.read(HEADER), hashlib.sha256(), HEADER
        while block := file.read(BLOCK):
            digest.update(block)
            size += len(block)
        if header != digest.hexdigest().encode() + b"\n" or size != ALIGNED + 8 * shape[0] * shape[1]:
            raise DataError(f"{shown(path)}: damaged")
        return np.memmap(file, "<f8", "c", ALIGNED, shape)
