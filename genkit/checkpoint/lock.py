"""One process at a time writes in a run folder: the lock file names its owner.

`.lock` is a JSON line of fixed size with pid, host, start and boot (see `process`). This record decides, not a kernel
lock held for the whole run, which a worker that outlives its killed parent would keep. It is read and written under a
short `flock`, so that of two processes that find the owner dead one gets the folder; and in one write of one block, so
that a kill leaves the old record or the new one. An empty file has no owner.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genkit.errors import GenkitError, StorageError
from genkit.printing import shown
from genkit.storage.disk import storage_errors
from genkit.storage.process import Process, current
from genkit.storage.regular import read_regular

LOCK = ".lock"

_SIZE = 512  # bytes of a record, padded with spaces
_NO_FLOCK = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


def acquire(folder: Path) -> None:
    """Makes this process the owner of the folder.

    Raises:
        StorageError: another process owns it and is alive, or cannot be asked; or the folder is not writable.
    """
    with storage_errors(folder / LOCK), _opened(folder / LOCK) as descriptor:
        owner = _read(descriptor, folder)
        if owner is not None and not owner.is_dead():
            raise StorageError(_refusal(owner, folder))
        os.pwrite(descriptor, json.dumps(asdict(current())).ljust(_SIZE - 1).encode("ascii") + b"\n", 0)
        os.fsync(descriptor)
    if owner_of(folder) != current():  # where flock does not exist, the last writer is the owner
        raise StorageError(f"{shown(folder)}: another process took this run at the same time: leave it to that one")


def release(folder: Path) -> None:
    """Gives the folder up, if this process owns it and it still is there; the empty lock file stays."""
    if not folder.is_dir():
        return
    with storage_errors(folder / LOCK), _opened(folder / LOCK) as descriptor:
        if _read(descriptor, folder) == current():
            os.ftruncate(descriptor, 0)


def owner_of(folder: Path) -> Process | None:
    """The process that the lock names, dead or alive; None where there is none."""
    with storage_errors(folder / LOCK), _opened(folder / LOCK) as descriptor:
        return _read(descriptor, folder)


def living_owner(folder: Path) -> Process | None:
    """The process that owns the folder and is not proven dead, for readers: nothing is made or locked.

    Returns:
        None where nobody does, or where the lock cannot be read.
    """
    try:
        owner = _process(json.loads(read_regular(folder / LOCK, _SIZE, inside=folder)))
    except (GenkitError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return None if owner.is_dead() else owner


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:  # what is written here is written in place
            kind = "one file under several names" if stat.S_ISREG(state.st_mode) else "not a regular file"
            raise StorageError(f"{shown(path)}: {kind}: delete it when no process uses this run")
        _flock(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)  # gives the flock back


def _flock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_FLOCK:
            raise


def _read(descriptor: int, folder: Path) -> Process | None:
    text = os.pread(descriptor, _SIZE, 0).strip(b"\0 \n")
    if not text:
        return None
    try:
        return _process(json.loads(text))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        lock = shown(folder / LOCK)
        raise StorageError(f"{lock}: names no process: delete it when no process uses this run") from error


def _process(record: Any) -> Process:
    """Raises what its reading raises where these are not the fields of a process."""
    pid, host, start, boot = (record[name] for name in ("pid", "host", "start", "boot"))
    sound = type(pid) is int and pid > 0 and isinstance(host, str)
    if not (sound and (start is None or type(start) is int) and (boot is None or isinstance(boot, str))):
        raise ValueError("no process")
    return Process(pid, host, start, boot)


def _refusal(owner: Process, folder: Path) -> str:
    who = f"process {owner.pid} on {shown(owner.host)}"
    if owner == current():
        return f"{shown(folder)}: this process ({owner.pid}, {shown(owner.host)}) has it open already: close it first"
    if owner.is_here():
        return f"{shown(folder)}: in use by {who}: wait until it ends, or stop it"
    end = f"make sure that it has ended, then delete {shown(folder / LOCK)}"
    return f"{shown(folder)}: owned by {who}, which cannot be checked from here: {end}"
