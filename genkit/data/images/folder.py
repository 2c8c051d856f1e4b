"""Images in a folder, at any depth.

Links are followed to files and folders; a folder that was visited already, as in a loop of links, is passed by. Hidden
files are not looked at. What is no regular file (a pipe would wait endlessly) is never opened.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from genkit.data.images.collection import EncodedImages, Skipped
from genkit.data.images.decoding import BadImage, is_image
from genkit.data.images.layout import claims_to_be_image, place_of
from genkit.data.source_files import file_state
from genkit.errors import DataError
from genkit.printing import shown

FIRST_BYTES = 32
LARGEST_FILE = 2**30  # bytes of one encoded image
OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class FolderImages(EncodedImages):
    """The images below a folder, in the order of their names.

    Args:
        root: The folder.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.skipped = root, Skipped()
        self.names = sorted(name for name in self._files() if self._usable(name))
        self.parts, self.classes = place_of(self.names)

    def read(self, i: int) -> bytes:
        return read_whole(self.root / self.names[i])

    def content(self) -> str:
        digest = hashlib.sha256()
        for name in self.names:
            digest.update(os.fsencode(name) + b"\0")
            try:
                digest.update(hashlib.sha256(read_whole(self.root / name)).digest())
            except BadImage as error:
                digest.update(str(error).encode())
        return digest.hexdigest()

    def state(self) -> list[list[object]]:
        return [[name, *file_state(self.root / name)] for name in self.names]

    def _files(self) -> Iterator[str]:
        """Names relative to the root, of all files that are not hidden."""
        seen: set[tuple[int, int]] = set()

        def refuse(error: OSError) -> None:
            if Path(str(error.filename)) == self.root:
                raise DataError(f"{shown(self.root)}: cannot be read ({error.strerror}): check the permissions")
            self.skipped.bad.append((os.path.relpath(str(error.filename), self.root), "a folder that cannot be read"))

        for folder, folders, files in os.walk(self.root, followlinks=True, onerror=refuse):
            state = os.stat(folder)
            if (state.st_dev, state.st_ino) in seen:
                folders.clear()
                continue
            seen.add((state.st_dev, state.st_ino))
            visible = [name for name in folders if not name.startswith(".")]
            self.skipped.hidden += len(folders) - len(visible)
            folders[:] = sorted(visible)
            for file in files:
                if file.startswith("."):
                    self.skipped.hidden += 1
                    continue
                yield os.path.relpath(os.path.join(folder, file), self.root)

    def _usable(self, name: str) -> bool:
        """Tell whether a file is to be read as an image; what only claims to be one is noted as bad."""
        try:
            start = first_bytes(self.root / name)
        except BadImage as error:
            start, reason = b"", str(error)
        else:
            reason = "an empty file" if not start else "no image by its content"
        if is_image(start):
            return True
        if claims_to_be_image(name):
            self.skipped.bad.append((name, reason))
        else:
            self.skipped.others += 1
        return False


def first_bytes(path: Path) -> bytes:
    """The start of a regular file. Raises BadImage."""
    return _read(path, FIRST_BYTES)


def read_whole(path: Path) -> bytes:
    """All of a regular file. Raises BadImage."""
    return _read(path, LARGEST_FILE)


def _read(path: Path, most: int) -> bytes:
    try:
        descriptor = os.open(path, OPEN)
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise BadImage("not a regular file")
            if state.st_size > LARGEST_FILE:
                raise BadImage(f"{state.st_size:,} bytes, more than {LARGEST_FILE:,}")
            parts = []
            while most and (part := os.read(descriptor, min(most, max(state.st_size, 1)))):
                parts.append(part)
                most -= len(part)
            return b"".join(parts)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BadImage(f"cannot be read ({error.strerror})") from error
