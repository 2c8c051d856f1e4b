"""Memory that this process may still take, and the most that it has taken at once, in bytes.

On a GPU both are for torch to say. On a CPU the most that was taken is the high-water mark of the kernel, which Linux
can lower again; what may still be taken is the least of what the machine has free and what its control group (a
container, a job of a batch system) leaves it.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

GROUPS = (  # limit and use of a control group, version 2 and 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
STATUS, MEMINFO, CLEAR = "/proc/self/status", "/proc/meminfo", "/proc/self/clear_refs"
KIB = 1024


def free(device: torch.device) -> int | None:
    """Bytes that may still be taken on a device, None where the system does not say."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info(device)[0]
    found = list(_free_on_machine())
    return min(found) if found else None


def held(device: torch.device) -> int:
    """Bytes that are taken now."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _field(STATUS, "VmRSS:") or peak(device)


def lower_peak(device: torch.device) -> None:
    """Let `peak` begin again from what is held now, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path(CLEAR).write_text("5", encoding="ascii")


def peak(device: torch.device) -> int:
    """The most bytes that were held at once since `lower_peak`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else KIB
    return _field(STATUS, "VmHWM:") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _free_on_machine() -> Iterator[int]:
    available = _field(MEMINFO, "MemAvailable:")
    if available is not None:
        yield available
    else:
        with suppress(ValueError, OSError, AttributeError):
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2  # macOS says no more
    for limit, used in GROUPS:
        with suppress(OSError, ValueError):
            yield max(0, int(Path(limit).read_text(encoding="ascii")) - int(Path(used).read_text(encoding="ascii")))


def _field(file: str, name: str) -> int | None:
    """Bytes of a line `name 123 kB`."""
    with suppress(OSError, ValueError, IndexError), open(file, encoding="ascii", errors="replace") as lines:
        return next((int(line.split()[1]) * KIB for line in lines if line.startswith(name)), None)
    return None
