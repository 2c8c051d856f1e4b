"""The data that lies in the cache: prepared arrays, and indexes of shards; what there is, and how to be rid of it.

Only what lies below the cache's own folders is known here, under the names that its folders have, so nothing else can
be cleared.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genkit.data.content_split import NAMES
from genkit.data.on_disk import LARGEST, MANIFEST
from genkit.data.prepared import description
from genkit.data.shards.indexing import INDEX
from genkit.data.source_state import FOLDER as STATES
from genkit.errors import ConfigError, GenkitError, StorageError
from genkit.printing import shown
from genkit.storage.atomic import discard, sweep
from genkit.storage.disk import storage_errors, user_folder
from genkit.storage.held import is_held, last_use
from genkit.storage.regular import read_regular

NAME = 12  # letters of a name that are shown
SHORTEST = 4  # that are taken
DAY = 86400.0
FOLDERS = ("data", "splits", "shards")
_NAMED = re.compile("[0-9a-f]{32,64}")


@dataclass(frozen=True)
class Kept:
    """Data in the cache.

    Attributes:
        folder: Where it lies.
        source: The file or folder that it was made from, "" where that is not known.
        words: What it is.
        examples: Number in training, validation and test, or in all.
        bytes: On the disk.
        used: Time of the last use, in seconds since the epoch.
        held: Whether a process is known to use it now.
    """

    folder: Path
    source: str
    words: str
    examples: tuple[int, ...]
    bytes: int
    used: float
    held: bool

    @property
    def name(self) -> str:
        """The beginning of the folder's name, which stands for it."""
        return self.folder.name[:NAME]


def kept() -> list[Kept]:
    """All data in the cache, the latest used first. Raises StorageError where a folder of it cannot be read."""
    found = []
    for kind in FOLDERS:
        place = user_folder() / kind
        with storage_errors(place):
            folders = [entry for entry in place.iterdir() if _NAMED.fullmatch(entry.name)] if place.is_dir() else []
        for folder in folders:
            with suppress(FileNotFoundError):  # cleared meanwhile
                found.append(_kept(folder, kind))
    return sorted(found, key=lambda one: (-one.used, one.name))


def chosen(names: Sequence[str], everything: Sequence[Kept]) -> list[Kept]:
    """The data of these names, or of beginnings of names that only one has. Raises ConfigError."""
    found = []
    for name in names:
        if "/" in name or name.startswith((".", "~")):
            raise ConfigError(f"{shown(name)}: a path: only the cache is cleared, by the names of genkit data list")
        fits = [one for one in everything if one.folder.name.startswith(name)] if len(name) >= SHORTEST else []
        if len(fits) != 1:
            why = f"{len(fits)} begin so" if fits else "no data in the cache is called so"
            raise ConfigError(f"{shown(name)}: {why}: genkit data list prints the names")
        found += fits
    return list(dict.fromkeys(found))


def unused(days: float, everything: Sequence[Kept]) -> list[Kept]:
    """The data that nobody has used for so many days."""
    return [one for one in everything if one.used < time.time() - days * DAY]


def clear(one: Kept) -> None:
    """Delete data, whole or not at all.

    Raises:
        StorageError: a process uses it, or the disk refuses.
    """
    if is_held(one.folder):
        raise StorageError(f"{one.name}: in use by a process that runs: end that first")
    with storage_errors(one.folder), suppress(FileNotFoundError):
        discard(one.folder)


def clear_remains() -> int:
    """Delete what dead processes left half made, and what is known of sources; returns the bytes."""
    freed = 0
    for kind in (*FOLDERS, STATES):
        place = user_folder() / kind
        if not place.is_dir():
            continue
        before = _size(place)
        sweep(place)
        if kind == STATES:
            for file in place.glob("*.json"):
                with storage_errors(file):
                    file.unlink(missing_ok=True)
        freed += before - _size(place)
    return freed


def _kept(folder: Path, kind: str) -> Kept:
    use = last_use(folder)
    try:
        words, examples = {"data": _of_data, "splits": _of_split, "shards": _of_shards}[kind](folder)
    except (GenkitError, ValueError, KeyError, TypeError, RecursionError):
        words, examples = "damaged", ()
    return Kept(folder, use.source, words, examples, _size(folder), use.time, is_held(folder))


def _of_data(folder: Path) -> tuple[str, tuple[int, ...]]:
    body = description(folder)
    layouts = body["layouts"]
    return str(body["about"].get("line", "")), tuple(int(layouts[name]["n"]) for name in NAMES)


def _of_split(folder: Path) -> tuple[str, tuple[int, ...]]:
    layout = json.loads(read_regular(folder / MANIFEST, LARGEST, inside=folder))["layout"]
    shape = "x".join(str(int(side)) for side in layout["shape"])
    return f"{shape} {shown(layout['dtype'])}", (int(layout["n"]),)


def _of_shards(folder: Path) -> tuple[str, tuple[int, ...]]:
    count = sum(1 for _ in folder.glob(f"*{INDEX}"))
    return f"index of {count:,} shard{'s' * (count != 1)}", ()


def _size(folder: Path) -> int:
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink():
                yield path.stat().st_size
