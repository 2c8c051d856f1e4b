"""The GPUs that jobs of a sweep are spread over, found without CUDA: a process that asked it cannot be forked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVER = Path("/proc/driver/nvidia/gpus")


def gpus() -> list[str]:
    """The GPUs of NVIDIA that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    try:
        return [str(number) for number, _ in enumerate(DRIVER.iterdir())]
    except OSError:
        return []


def least_used(all_of_them: list[str], used: Iterable[str | None]) -> str | None:
    """The GPU that the fewest jobs use, the first of equal ones; None where there is no choice."""
    if len(all_of_them) < 2:
        return None
    taken = list(used)
    return min(all_of_them, key=taken.count)
