"""Threads that decode images; the decoders work outside of Python's lock, so threads do what processes would."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor

MOST = 8


@functools.cache
def pool_of(workers: int) -> ThreadPoolExecutor:
    """So many threads, started when they are first used."""
    return ThreadPoolExecutor(workers, thread_name_prefix="decode")


os.register_at_fork(after_in_child=pool_of.cache_clear)  # threads do not survive a fork


def default_workers() -> int:
    """One for each core that this process may use, at most MOST."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # no Linux
        cores = os.cpu_count() or 1
    return min(MOST, cores)
