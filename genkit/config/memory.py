"""Failed allocations: the size that was asked for, and what to try instead.

torch says it with a RuntimeError (`torch.OutOfMemoryError` is one), Python and numpy with a MemoryError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from genkit.errors import OutOfMemory

SAID = ("out of memory", "can't allocate memory", "not enough memory")
ASKED = re.compile(r"allocate ([\d.]+) ?([KMGT]iB|bytes)", re.IGNORECASE)
UNITS = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def asked_for(error: BaseException) -> str | None:
    """ "64.0 GiB" or "some memory"; None where the error is about something else."""
    text = str(error)
    if not isinstance(error, MemoryError) and not (
        isinstance(error, RuntimeError) and any(words in text.lower() for words in SAID)
    ):
        return None
    found = ASKED.search(text)
    return shown_bytes(float(found[1]) * UNITS[found[2].lower()]) if found else "some memory"


def shown_bytes(size: float) -> str:
    """ "1.5 GiB" """
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


@contextmanager
def memory_errors(advice: str) -> Iterator[None]:
    """Turns memory that cannot be had inside into an `OutOfMemory` of one line that ends with `advice`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        asked = asked_for(error)
        if asked is None:
            raise
        raise OutOfMemory(f"out of memory: {asked} could not be allocated: {advice}") from error


def smaller_batch(key: str, batch_size: int) -> str:
    """ "try data.batch_size=64" for 128; for a batch of one, a smaller model."""
    return f"try {key}={batch_size // 2}" if batch_size > 1 else f"{key}=1 is the least: choose a smaller model"
