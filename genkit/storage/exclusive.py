"""New folders that appear whole and belong to one process, even if others want the same name at the same instant.

A folder is filled under a temporary name and renamed. The rename decides: onto a folder with content it fails, so of
two processes one gets the name, and the other one an error (`make_new`) or the next name (`make_stamped`).
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from genkit.errors import ConfigError
from genkit.printing import shown
from genkit.storage.atomic import fsync_all, publish, sweep, temporary_folder
from genkit.storage.disk import storage_errors

Fill = Callable[[Path], None]

NEW_RUN = "choose a new or empty folder for run_dir=, or continue the run with resume="
NEW_OUT = "choose a new or empty folder for out="

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
# An empty folder that exists may be a mount point, or lie where this user may not make a sibling.
_FIXED = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)

FILE_SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf", ".npz", ".npy", ".csv", ".json", ".jsonl", ".yaml"}
FILE_SUFFIXES |= {".zip", ".tar", ".gz", ".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".h5", ".txt", ".html"}


def make_new(path: Path | str, fill: Fill, advice: str, needed: int | None = None) -> Path:
    """Makes the folder that the user named; it must be new or empty. Links in the path are followed.

    Where an empty folder cannot be renamed onto, it is filled in place: `fill` begins with what keeps others out and
    ends with what makes it valid.

    Args:
        path: The folder.
        fill: Writes the content into the folder that it is given.
        advice: What to do when the folder is in use, the end of the error's line.
        needed: Bytes that `fill` writes, said when the disk is full.

    Raises:
        ConfigError: it is in use.
        StorageError: the disk refuses.
    """
    target = Path(os.path.realpath(path))
    refuse_in_use(target, advice)
    with storage_errors(target, needed):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _fill_and_rename(target, [target], fill):
            raise ConfigError(f"{shown(target)}: in use: {advice}")
    return target


def refuse_in_use(path: Path | str, advice: str) -> None:
    """Raise ConfigError where `make_new` would, for who wants to know before long work."""
    refuse_file_name(path)
    target = Path(os.path.realpath(path))
    with storage_errors(target):
        if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
            raise ConfigError(f"{shown(target)}: in use: {advice}")


def refuse_file_name(path: Path | str, key: str = "") -> None:
    """Raise ConfigError where a folder to be made is called like a file of pictures, numbers or weights.

    Args:
        path: The folder.
        key: The key of the configuration that names it, for the message.
    """
    bare, suffix = os.path.splitext(path)
    if suffix.lower() in FILE_SUFFIXES and not os.path.lexists(path):
        named = f"{key}: {shown(path)}" if key else shown(path)
        raise ConfigError(f"{named}: it names a folder, not a file; did you mean {shown(bare)}?")


def make_stamped(path: Path, fill: Fill) -> Path:
    """Makes a folder of this name, or with the first suffix -2, -3, … that is free; returns the one made.

    Raises:
        StorageError: the disk refuses.
    """
    target = Path(os.path.abspath(path))
    names = itertools.chain([target], (target.with_name(f"{target.name}-{count}") for count in range(2, 10_000)))
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        made = _fill_and_rename(target, (name for name in names if not os.path.lexists(name)), fill)
        if made is None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return made


def _fill_and_rename(target: Path, names: Iterable[Path], fill: Fill) -> Path | None:
    """The first of the names that could be had."""
    sweep(target.parent)
    try:
        with temporary_folder(target) as temporary:
            fill(temporary)
            return next((name for name in names if _rename(temporary, name)), None)
    except OSError as error:
        if error.errno not in _FIXED or not target.is_dir():
            raise
    fill(target)
    fsync_all(target)
    return target


def _rename(temporary: Path, name: Path) -> bool:
    try:
        publish((temporary, name))
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True
