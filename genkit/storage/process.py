"""Identify the process that wrote something, and tell whether it may still be alive.

A pid alone proves little: it is used again after a crash, and in containers nearly always. So an owner is the tuple
(pid, host, start, boot): `start` is the process's start in clock ticks since boot (field 22 of /proc/PID/stat),
`boot` the kernel's boot id. Dead is claimed only where it is proven, on the same host: another boot, no such pid, a
zombie, or a pid with another start. Where /proc does not exist, `start` and `boot` are None and the pid decides.
"""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process of one machine, as it is written into locks and into the names of temporary files."""

    pid: int
    host: str
    start: int | None = None
    boot: str | None = None

    def is_here(self) -> bool:
        """Tell whether it ran on this host, so that its end can be proven."""
        return self.host == socket.gethostname()

    def is_dead(self) -> bool:
        """True where the end of the process is proven; False where it lives or nothing can be known."""
        if not self.is_here():
            return False
        if None not in (self.boot, _boot()) and self.boot != _boot():
            return True
        return not _exists(self.pid) or _is_other(self.start, _start(self.pid)) or _state(self.pid) in ("Z", "X")


def current() -> Process:
    """This process."""
    return Process(os.getpid(), socket.gethostname(), _own_start(), _boot())


def of_pid(pid: int) -> Process:
    """A process of this machine that is alive."""
    return Process(pid, socket.gethostname(), _start(pid), _boot())


@functools.cache
def _own_start() -> int | None:
    return _start(os.getpid())


os.register_at_fork(after_in_child=_own_start.cache_clear)


def _is_other(recorded: int | None, seen: int | None) -> bool:
    return recorded is not None and seen is not None and recorded != seen


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's process has the pid, so it exists
        return True
    return True


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name (which may hold spaces and brackets); [] without /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str | None:
    fields = _fields(pid)
    return fields[0] if fields else None


def _start(pid: int) -> int | None:
    fields = _fields(pid)
    return int(fields[19]) if len(fields) > 19 else None


@functools.cache
def _boot() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
