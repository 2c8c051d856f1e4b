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
from contextlib import contextmanager
from pathlib import Path

from genkit.storage.disk import storage_errors

_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_PAUSE = 0.1  # seconds


@contextmanager
def own_turn(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file, which is made where it is missing and stays, empty.

    Args:
        path: The file.
        waiting: Called once where another process holds the lock.

    Raises:
        StorageError: the file cannot be made.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        if not _taken(descriptor):
            waiting()
            while not _taken(descriptor):
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _BUSY
    return True
