"""Take turns: of the processes of a machine that want to make the same thing, one makes it and the others wait.

The kernel holds the lock and gives it back when a process ends, however it ends. Where a file system has no locks
(some network disks), nobody waits: what is made must be published whole, so that two makers do no harm, only twice the
work.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from genkit.storage.disk import storage_errors

_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_PAUSE = 0.1  # seconds


@contextmanager
def own_turn(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file, which is made for it and deleted afterwards.

    Args:
        path: The file.
        waiting: Called once where another process holds the lock.

    Raises:
        StorageError: the file cannot be made.
    """
    descriptor, told, mine = _opened(path), False, False
    try:
        while not (_taken(descriptor) and _is_at(descriptor, path)):
            if not _is_at(descriptor, path):  # the one before deleted it
                os.close(descriptor)
                descriptor = _opened(path)
                continue
            if not told:
                waiting()
                told = True
            time.sleep(_PAUSE)
        mine = True
        yield
    finally:
        if mine:
            with suppress(OSError):
                path.unlink()
        os.close(descriptor)


def _opened(path: Path) -> int:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether the opened file is the one of this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _BUSY
    return True
