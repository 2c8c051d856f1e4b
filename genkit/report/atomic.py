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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            write(file)
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}); free space or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
