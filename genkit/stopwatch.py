"""Time that a command has taken: on the wall, and of the processors.

A command that began with its process (`genkit train …`) is measured from the start of the process, so that the imports
count; one inside a longer process (a notebook, a later job of a sweep) from its own beginning. A process that genkit's
launcher started is told what the command had taken before (`SPENT`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

SPENT = "GENKIT_SPENT"  # "wall cpu": seconds that the command took before it started this process
MOST = 60.0  # seconds of a start that is believed: the clocks of some sandboxes disagree by hours
_process: list[Stopwatch] = []  # of a process whose first command began with it


class Stopwatch(NamedTuple):
    """Seconds since a command began.

    Attributes:
        monotonic: The reading of `time.monotonic` when it began.
        processor: The reading of `processor_seconds` when it began.
    """

    monotonic: float
    processor: float

    @classmethod
    def now(cls) -> Stopwatch:
        """A stopwatch that begins now."""
        return cls(time.monotonic(), processor_seconds())

    def wall(self) -> float:
        """Seconds on the wall."""
        return time.monotonic() - self.monotonic

    def cpu(self) -> float:
        """Seconds of processors: of all threads of this process, and of processes that it waited for."""
        return processor_seconds() - self.processor


def processor_seconds() -> float:
    """Seconds that processors have worked for this process and for those that it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def begin_with_process(environ: Mapping[str, str] = os.environ) -> None:
    """Have the first command of this process measured from the start of the process."""
    wall, cpu = _told(environ)
    _process[:] = [Stopwatch(time.monotonic() - _age() - wall, -cpu)]


def of_command() -> Stopwatch:
    """The stopwatch of the command that begins now."""
    return _process.pop() if _process else Stopwatch.now()


def _age() -> float:
    """Seconds since this process was started; where the system does not say, those of its processors."""
    with suppress(OSError, ValueError, IndexError, AttributeError):
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        if 0 <= age <= MOST:
            return age
    return time.process_time()


def _told(environ: Mapping[str, str]) -> tuple[float, float]:
    with suppress(KeyError, ValueError):
        wall, cpu = map(float, environ[SPENT].split())
        return max(0.0, wall), max(0.0, cpu)
    return 0.0, 0.0
