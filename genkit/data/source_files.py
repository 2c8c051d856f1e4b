"""A few files that data is read from: their contents by hash, and the facts by which a change is noticed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from genkit.printing import shown
from genkit.storage.regular import open_regular

CHUNK = 2**22


class SourceFiles:
    """Files, and how they are read.

    Args:
        root: Names the source in messages.
        paths: All that is read.
        reading: What the data depends on besides: the same files read otherwise are other data.
    """

    def __init__(self, root: Path, paths: Sequence[Path], reading: object = None) -> None:
        self.root, self.paths, self.reading = root, paths, repr(reading)

    @property
    def name(self) -> str:
        return shown(self.root)

    def read_as(self, reading: object) -> SourceFiles:
        """The same files, read in one more way."""
        return SourceFiles(self.root, self.paths, (self.reading, reading))

    def content(self) -> str:
        """sha256 of names, contents and reading. Raises DataError."""
        digest = hashlib.sha256(self.reading.encode())
        for path in self.paths:
            digest.update(os.fsencode(path.name) + b"\0" + bytes.fromhex(file_hash(path)))
        return digest.hexdigest()

    def state(self) -> list[list[object]]:
        """Name, size, times and number of each file."""
        return [[str(path), *file_state(path)] for path in self.paths] + [["", self.reading]]


def file_hash(path: Path) -> str:
    """sha256 of a file. Raises DataError where it cannot be read."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def file_state(path: Path) -> list[int]:
    """Size, time of change of content and of the entry, device and number of a file; zeros where it has gone."""
    try:
        state = os.stat(path)
    except OSError:
        return [0, 0, 0, 0, 0]
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_dev, state.st_ino]
