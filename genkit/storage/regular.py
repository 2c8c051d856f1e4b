"""Open and write regular files alone: not a link, a pipe, a device, or more bytes than expected.

    open_regular   a file to read: regular, of known size, inside the folder that it is meant to be in
    read_regular   its content, of at most so many bytes
    append_to      a file to append to, inside its folder
    require_inside a folder that is written to or emptied does not lie, through a link, elsewhere
    links_out      every link below a folder that leads out of it

Rules. Nothing waits: a pipe is opened without blocking and refused. The size is that of the opened file, so it is known
before anything is read. A link is followed where it ends inside the folder; out of it leads none. The folder itself may
be reached through links: a path means what it leads to. These are checks against what lies there when a
command begins, not against somebody who changes the folder while it runs.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from genkit.errors import CheckpointError, DataError, GenkitError, StorageError
from genkit.printing import shown
from genkit.storage.disk import storage_errors

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW


@contextmanager
def open_regular(
    path: Path | str,
    *,
    inside: Path | None = None,
    largest: int | None = None,
    refusal: type[GenkitError] = DataError,
    advice: str = "name another file",
) -> Iterator[BinaryIO]:
    """A binary file to read, as a context manager.

    Args:
        path: The file.
        inside: The folder that it must lie in, links followed; None where the user named the file and may mean any.
        largest: Bytes that it may have; None for any.
        refusal: The error of a file that is not as it should be.
        advice: What to do then, the end of the error's line.

    Raises:
        GenkitError: `refusal`: missing, no regular file, too large, or outside; StorageError: no permission to read it.
    """
    path = Path(path)
    try:
        descriptor = _descriptor(path, inside, refusal, advice)
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise refusal(f"{shown(path)}: not a regular file but {kind_of(state.st_mode)}: {advice}")
            if largest is not None and state.st_size > largest:
                raise refusal(f"{shown(path)}: {state.st_size:,} bytes, the limit is {largest:,}: {advice}")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                yield file
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(error, path, refusal, advice) from error


def read_regular(
    path: Path | str,
    largest: int,
    *,
    inside: Path | None = None,
    refusal: type[GenkitError] = DataError,
    advice: str = "name another file",
) -> bytes:
    """The content of a file of at most `largest` bytes; see `open_regular`."""
    with open_regular(path, inside=inside, largest=largest, refusal=refusal, advice=advice) as file:
        return file.read(largest)


@contextmanager
def append_to(path: Path) -> Iterator[BinaryIO]:
    """The file of a run to append to, unbuffered; made where it is missing.

    Raises:
        StorageError: a link, no regular file, or the disk refuses.
    """
    with storage_errors(path):
        descriptor = os.open(path, _APPEND, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise StorageError(f"{shown(path)}: not a regular file, nothing is written to it: delete it")
            with os.fdopen(descriptor, "ab", buffering=0, closefd=False) as file:
                yield file
        finally:
            os.close(descriptor)


def size_of(file: BinaryIO) -> int:
    """Bytes of an opened file."""
    return os.fstat(file.fileno()).st_size


def is_inside(path: Path, folder: Path) -> bool:
    """Tell whether a path lies in or below a folder, all links of both followed."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    except (OSError, ValueError):  # a loop of links, a null byte
        return False


def require_inside(path: Path, folder: Path) -> None:
    """Refuses a folder or file that genkit is about to change where a link leads it out of `folder`.

    Raises:
        CheckpointError: it leads out.
    """
    if not is_inside(path, folder):
        raise CheckpointError(
            f"{shown(path)}: leads out of {shown(folder)}, where nothing may be changed: put the folder itself there"
        )


def links_out(folder: Path) -> Iterator[Path]:
    """Every link below a folder that leads out of it, or nowhere; linked folders are not entered."""
    root = os.path.realpath(folder)
    for where, folders, files in os.walk(root):
        for name in (*folders, *files):
            entry = Path(where, name)
            if entry.is_symlink() and not is_inside(entry, Path(root)):
                yield entry


def _descriptor(path: Path, inside: Path | None, refusal: type[GenkitError], advice: str) -> int:
    try:
        real = os.path.realpath(path)
        if inside is not None and not Path(real).is_relative_to(os.path.realpath(inside)):
            raise refusal(f"{shown(path)}: a symbolic link out of its folder, not followed: put the file itself there")
        return os.open(path if inside is None else real, _READ)
    except ValueError as error:  # a null byte in the name
        raise refusal(f"{shown(path)}: no name of a file: {advice}") from error


def kind_of(mode: int) -> str:
    """The kind of a file that is not a regular one, in words."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")


def _unreadable(error: OSError, path: Path, refusal: type[GenkitError], advice: str) -> GenkitError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return StorageError(f"{shown(path)}: cannot read ({error.strerror}): check the permissions")
    if error.errno == errno.ENOENT:
        return refusal(f"{shown(path)}: missing: {advice}")
    if error.errno == errno.ELOOP:
        return refusal(f"{shown(path)}: a symbolic link without end: {advice}")
    if error.errno == errno.ENXIO:
        return refusal(f"{shown(path)}: not a regular file but a socket or a device: {advice}")
    return refusal(f"{shown(path)}: cannot read ({error.strerror}): {advice}")
