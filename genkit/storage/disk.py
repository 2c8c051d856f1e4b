"""Errors of the disk, as one line that a user can act on.

Every OSError of a write becomes a `StorageError` that names the path and, when space is short, the bytes needed.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genkit.errors import StorageError
from genkit.printing import shown

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def storage_errors(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turns every OSError inside into a `StorageError` of one line.

    Args:
        path: What was being written.
        needed: Bytes that the write needs, said when the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(f"{shown(path)}: {_reason(error, path, needed)}") from error


def _reason(error: OSError, path: Path, needed: int | None) -> str:
    said = error.strerror or str(error)
    if error.errno in _NO_SPACE:
        size = f", {needed:,} bytes needed" if needed is not None else ""
        return f"cannot write ({said}{size}, {free_bytes(path):,} free): make room, or choose another output folder"
    if error.errno in _NO_PERMISSION:
        return f"cannot write ({said}): check the permissions, or choose another output folder"
    return f"cannot write ({said}): check the folder and its disk"


def user_folder() -> Path:
    """The folder of what genkit makes once and finds again: `$GENKIT_CACHE`, else in the cache of the user."""
    if own := os.environ.get("GENKIT_CACHE"):
        return Path(own).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path("~/.cache").expanduser()) / "genkit"


def free_bytes(path: Path) -> int:
    """Bytes that this user may still write on the disk that `path` lies or would lie on."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def require_free_disk(needed: int, path: Path, advice: str) -> None:
    """Refuses to begin what cannot be finished.

    Args:
        needed: Bytes that will be written.
        path: Where; it need not exist yet.
        advice: How to need less, in the words of the command.

    Raises:
        StorageError: less is free, with both figures.
    """
    free = free_bytes(path)
    if free < needed:
        raise StorageError(
            f"{shown(path)}: {needed:,} bytes needed, {free:,} free: make room, {advice}, "
            "or choose another output folder"
        )
