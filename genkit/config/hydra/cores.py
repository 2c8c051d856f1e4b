"""The number of cores that this process may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")


def cores() -> int:
    """The cores that the operating system lets this process run on, hyper-threads of one core counted once."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    return len({_siblings(number) for number in allowed})


def _siblings(number: int) -> str:
    """The hyper-threads of a core, by any of them; the number itself where the system does not say."""
    try:
        return (TOPOLOGY / f"cpu{number}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return str(number)
