"""Files of a cache that say themselves whether they are whole: their own sha256 stands before the content.

64 hexadecimal digits, the sha256 of the rest · a line feed · the content
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.atomic import whole_file
from genkit.storage.regular import open_regular

HEADER = 65  # bytes before the content


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
