"""Files and folders that appear whole or not at all, also when the process dies or the disk fills up.

    write_file  a new file of a folder that is not published yet
    whole_file  temporary sibling → fsync → rename over the old file → fsync of the folder
    publish     temporary entries → fsync of all in them → rename of the first → fsync of its parent → the same for what
                refers to it
    discard     rename to a temporary name → delete, so that half a folder never stands under its real name
    sweep       delete the temporary entries of dead processes

A temporary entry lies beside its target, so on the same device: a rename there is atomic, a copy from another device
is not. Its name `.TARGET.HOST-PID-START-COUNT.tmp` says whose it is.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import itertools
import os
import re
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from genkit.storage.disk import storage_errors
from genkit.storage.process import Process, current

_COUNT = itertools.count()
_TEMPORARY = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>\d+)-\d+\.tmp", re.DOTALL)
_DAY = 86400.0
_AT_ONCE = 8  # files
_LARGE = 2**18  # bytes that are hashed while they are written


def write_file(path: Path, chunks: Iterable[bytes | memoryview]) -> tuple[int, str]:
    """A new file of these chunks; returns its size in bytes and its sha256. It must not exist.

    Not durable yet: it lies in a folder that `publish` or `fsync_all` makes so before anything refers to it.
    """
    size, digest = 0, hashlib.sha256()
    with open(path, "xb") as file:
        for chunk in chunks:
            hashing = _threads().submit(digest.update, chunk) if len(chunk) >= _LARGE else None
            file.write(chunk)
            if hashing is None:
                digest.update(chunk)
            else:
                hashing.result()
            size += len(chunk)
    return size, digest.hexdigest()


@contextmanager
def whole_file(path: Path, needed: int | None = None) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` when the block ends without an error, replacing an older one.

    A reader sees the old content or the new one, never a part; the folder is made when missing.

    Args:
        path: The file.
        needed: Bytes that will be written, said when the disk is full.

    Raises:
        StorageError: it cannot be written; the old content stands.
    """
    with storage_errors(path, needed):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            yield file


def replace_file(path: Path, data: bytes) -> None:
    """Puts `data` at `path`, as `whole_file` does, in a folder that is there: one that vanished is not made again.

    Raises:
        StorageError: it cannot be written; the old content stands.
    """
    with storage_errors(path, len(data)), replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """`whole_file` in a folder that is there, with the system's own errors."""
    temporary = temporary_beside(path)
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
        fsync_path(path.parent)
    finally:
        with suppress(OSError):  # the error that led here is the one to report
            temporary.unlink()


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target` to build it in; removed at the end unless it was published."""
    temporary = temporary_beside(target)
    try:
        temporary.mkdir()
        yield temporary
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)  # the error that led here is the one to report


@contextmanager
def temporary_file(path: Path, data: bytes) -> Iterator[Path]:
    """A new file beside `path` with this content, to be published; removed at the end unless it was."""
    temporary = temporary_beside(path)
    try:
        write_file(temporary, [data])
        yield temporary
    finally:
        with suppress(OSError):  # the error that led here is the one to report
            temporary.unlink()


def publish(first: tuple[Path, Path], *referring: tuple[Path, Path]) -> None:
    """Renames finished temporary entries to their names: the first one, then those that refer to it; durable on return.

    A folder's name must be free or that of an empty folder; a file takes the place of an older one. All content is
    durable before the first name, and that name before those that refer to it: after a power loss no reference stands
    without what it names. (Some file systems keep no order of their own, as ext4 without a journal.)

    Raises:
        OSError: a name is taken (ENOTEMPTY, EEXIST, ENOTDIR), or the disk refuses.
    """
    fsync_together([path for temporary, _ in (first, *referring) for path in _whole(temporary)])
    for moves in ([first], referring):
        for temporary, target in moves:
            _rename(temporary, target)
        for parent in {target.parent for _, target in moves}:
            fsync_path(parent)


def _rename(temporary: Path, target: Path) -> None:
    """Lets go of the file that had the name in another thread.

    A disk mounted with `discard` gives its blocks back at once, and who drops the last reference to it waits for that
    as long as for a flush (measured on ext4): it goes on beside the flush of the folder.
    """
    replaced = _held(target)
    try:
        os.rename(temporary, target)
    finally:
        if replaced is not None:
            _threads().submit(os.close, replaced)


def _held(path: Path) -> int | None:
    """A descriptor of the file, None where there is none that can be opened."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


def discard(folder: Path) -> None:
    """Deletes a folder; after a kill it stands whole under its name or is a temporary entry for `sweep`.

    Of a link the link alone is deleted, never what it leads to.
    """
    temporary = temporary_beside(folder)
    os.rename(folder, temporary)
    if temporary.is_symlink() or not temporary.is_dir():
        temporary.unlink()
        return
    files = [entry for entry in temporary.iterdir() if entry.is_symlink() or not entry.is_dir()]
    list(_threads().map(os.unlink, files))  # together, since each may wait for the disk (see `_rename`)
    shutil.rmtree(temporary)


def sweep(folder: Path) -> list[Path]:
    """Deletes the temporary entries in `folder` that dead processes left; returns what was deleted.

    An entry of another host, whose processes cannot be asked, counts as left when it is older than a day.
    """
    with storage_errors(folder):
        left = [entry for entry in sorted(folder.iterdir()) if _is_left(entry)]
        for entry in left:
            _remove(entry)
    return [entry for entry in left if not os.path.lexists(entry)]


def fsync_all(folder: Path) -> None:
    """Makes the files of a folder and their names durable."""
    fsync_together(_whole(folder))


def _whole(entry: Path) -> list[Path]:
    """A file, or a folder and the files in it."""
    return [entry, *entry.iterdir()] if entry.is_dir() else [entry]


def fsync_together(paths: Sequence[Path]) -> None:
    """Makes several files or folders durable all at once, so that one flush of the disk serves several.

    One after the other, four small files cost three times as much as one (measured on ext4).
    """
    list(_threads().map(fsync_path, paths))


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """They are kept: to start them at each save would cost as much as the flush, on a quick disk."""
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="storage")


os.register_at_fork(after_in_child=_threads.cache_clear)  # threads do not survive a fork


def fsync_path(path: Path) -> None:
    """Makes the names in a folder, or the content of a file, durable, on the file systems that can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what some network file systems answer for any folder
            raise
    finally:
        os.close(descriptor)


def temporary_beside(target: Path) -> Path:
    """A name that no other process or call uses, in the folder of `target`; 40 characters of its name keep it short."""
    me = current()
    return target.with_name(f".{target.name[:40]}.{_mark(me.host)}-{me.pid}-{me.start or 0}-{next(_COUNT)}.tmp")


def _mark(host: str) -> str:
    return hashlib.sha256(host.encode()).hexdigest()[:8]


def _is_left(entry: Path) -> bool:
    match = _TEMPORARY.fullmatch(entry.name)
    if match is None:
        return False
    host = socket.gethostname()
    if match["host"] != _mark(host):
        return entry.is_symlink() or (entry.exists() and time.time() - entry.stat().st_mtime > _DAY)
    return Process(int(match["pid"]), host, int(match["start"]) or None).is_dead()


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)  # another process may be sweeping the same entry
    else:
        entry.unlink(missing_ok=True)
