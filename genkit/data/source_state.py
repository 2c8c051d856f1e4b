"""The contents of a source's files, by hash, without reading them at each command.

The hash of the contents decides whether prepared data still belongs to its source. To take it, all of the source is
read; it is then kept together with the state of the files (size, times, number), and read again as soon as any
of these differs. The time of an entry's change (ctime) moves with every write and cannot be set by a program, so
other bytes under the old size and date are noticed. A file that changed in the moment of reading might change again
within one tick of the clock, so the hash of files so young is not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from genkit.errors import GenkitError, StorageError
from genkit.storage.atomic import replace_file
from genkit.storage.disk import user_folder
from genkit.storage.regular import read_regular

FOLDER = "sources"
YOUNG = 2 * 10**9  # nanoseconds: coarser than the clock of any file system in use
LARGEST = 2**16


def content_hash_of(source: Path, state: Sequence[Sequence[object]], read: Callable[[], str]) -> str:
    """The hash of a source's contents.

    Args:
        source: Names it.
        state: Facts of its files, among them their times of change in nanoseconds; equal ones mean equal contents.
        read: Reads all of it and gives the hash.
    """
    name = hashlib.sha256(os.fsencode(source.absolute())).hexdigest()
    place = user_folder() / FOLDER / f"{name}.json"
    now = hashlib.sha256(json.dumps(state).encode()).hexdigest()
    with suppress(GenkitError, ValueError, KeyError, TypeError):
        known = json.loads(read_regular(place, LARGEST))
        if known["state"] == now and type(known["content"]) is str:
            return known["content"]
    before = time.time_ns()
    content = read()
    if _newest(state) < before - YOUNG:
        with suppress(OSError, StorageError):  # it is a saving of time, no more
            place.parent.mkdir(parents=True, exist_ok=True)
            found = {"source": str(source.absolute()), "state": now, "content": content}
            replace_file(place, json.dumps(found).encode())
    return content


def _newest(state: Sequence[Sequence[object]]) -> int:
    return max((value for facts in state for value in facts[2:4] if isinstance(value, int)), default=0)
