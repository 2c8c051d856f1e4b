"""Files that appear whole or not at all: written beside the target under a temporary name, then renamed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from genkit.errors import StorageError


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a binary file and put it at `path`, whose folder is made if it is missing.

    A reader sees the old file or the new one, never a part. Raises StorageError where the disk refuses.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_through(path.with_name(f".{path.name}.{os.getpid()}.tmp"), path, write)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StorageError(f"{path}: cannot be written ({reason}); free space or choose another folder") from error


def replace_through(temporary: Path, path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write to `temporary` and rename it to `path`; whatever happens, no temporary file stays."""
    try:
        with temporary.open("wb") as file:
            write(file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
