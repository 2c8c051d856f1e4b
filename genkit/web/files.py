"""Files of one folder for the local server: regular ones that lie in it, whatever their names and links say."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from genkit.web.messages import HTML, JSON, PNG, TEXT, Reply

KINDS = {
    ".html": HTML,
    ".json": JSON,
    ".jsonl": TEXT,
    ".csv": TEXT,
    ".txt": TEXT,
    ".yaml": TEXT,
    ".md": TEXT,
    ".png": PNG,
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
OTHER = "application/octet-stream"


def file_of(folder: Path, name: str, largest: int) -> Reply | None:
    """A file of a folder; None where there is none that may be shown.

    Refused alike, so that nobody learns what exists: a name that leads out of the folder, by itself or by a link; a
    part that begins with a dot; a folder, a pipe, a device; more than `largest` bytes.

    Args:
        folder: All below it may be shown.
        name: Relative, with "/" between its parts.
        largest: Bytes.
    """
    parts = name.split("/")
    if any(part.startswith(".") or not part or "\\" in part or "\0" in part for part in parts):
        return None
    try:
        root = folder.resolve(strict=True)
        path = root.joinpath(*parts).resolve(strict=True)
        if not path.is_relative_to(root):
            return None
        # A link that takes the file's place after this check is not followed, and a pipe does not block.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError, RuntimeError):
        return None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > largest:
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        return Reply(file.read(largest + 1)[:largest], KINDS.get(path.suffix.lower(), OTHER))
