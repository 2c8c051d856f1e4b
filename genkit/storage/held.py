"""Folders of a cache that a process is using: a file in each, locked as long as the process lives.

The system lets go of the lock when the process ends, however it ends. The file says what the folder belongs to, and its
time is that of the last use. All of it is a convenience: where it fails (a cache that is read-only, a file system
without locks), the folder is used all the same.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genkit.errors import GenkitError
from genkit.storage.regular import read_regular

USE = "use.json"
LARGEST = 2**16
_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_HELD: dict[Path, int] = {}


@dataclass(frozen=True)
class Use:
    """The last use of a folder.

    Attributes:
        source: What it belongs to, "" where that is not known.
        time: Seconds since the epoch.
    """

    source: str
    time: float


def hold(folder: Path, source: str) -> None:
    """Note that this process uses a folder from now on."""
    with suppress(OSError):
        try:
            descriptor = os.open(folder / USE, os.O_RDWR | os.O_CREAT | _OPEN, 0o666)
        except PermissionError:
            descriptor = os.open(folder / USE, os.O_RDONLY | _OPEN)
        else:
            content = json.dumps({"source": source}).encode()
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))
            os.utime(descriptor)
        earlier = _HELD.pop(folder, None)
        _HELD[folder] = descriptor
        if earlier is not None:
            os.close(earlier)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def last_use(folder: Path) -> Use:
    """The last use of a folder, as far as it is known; else the time of the folder."""
    source = ""
    with suppress(GenkitError, ValueError, KeyError, TypeError):
        source = str(json.loads(read_regular(folder / USE, LARGEST, inside=folder))["source"])
    file = folder / USE if (folder / USE).is_file() else folder
    return Use(source, file.stat().st_mtime)


def is_held(folder: Path) -> bool:
    """Tell whether a process is known to use a folder: this one, or another of this machine."""
    try:
        descriptor = os.open(folder / USE, os.O_RDONLY | _OPEN)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False
