"""Shards to their indexes: every image is read once, and decoded once to know that it can be."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from genkit.data.images.decoding import BadImage, Header, decode, read_header
from genkit.data.images.split_files import SplitFile
from genkit.data.on_disk import aloud
from genkit.data.shards.index_file import ENTRY, HASH, NO_LABEL, ShardIndex, read_index, write_index
from genkit.data.shards.open_shard import open_shard
from genkit.data.shards.shard import Shard
from genkit.data.shards.workers import pool_of
from genkit.data.source_files import file_state
from genkit.data.source_state import YOUNG
from genkit.errors import DataError, StorageError
from genkit.printing import shown
from genkit.progress import with_progress
from genkit.storage.atomic import sweep
from genkit.storage.disk import user_folder
from genkit.storage.held import hold

AT_ONCE = 64  # images whose results are held
INDEX = ".index"


@dataclass(frozen=True)
class Looked:
    """One image after a look at it."""

    digest: bytes
    size: int
    header: Header


def index_folder(root: Path) -> Path:
    """The folder of the indexes of the shards in a folder."""
    return user_folder() / "shards" / hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:32]


def indexes_of(
    root: Path, files: Sequence[SplitFile], check: bool, workers: int, say: Callable[[str], None] = aloud
) -> list[ShardIndex]:
    """The indexes of shards, made now or before.

    Args:
        root: The folder of the shards.
        files: The shards.
        check: Whether each image is decoded once, so that what cannot be is known before training.
        workers: Threads that decode.
        say: Receives a line where an index is made, made again, or not kept.

    Raises:
        DataError: a shard is damaged, or of the wrong form.
    """
    folder = index_folder(root)
    known = [_known(folder, file.path, check, say) for file in files]
    new = [i for i, index in enumerate(known) if index is None]
    if new:
        size = sum(files[i].path.stat().st_size for i in new)
        say(f"{shown(root)}: reading {len(new):,} shard{'s' * (len(new) > 1)} once, {size:,} bytes")
        keep = _keeper(folder, say)
        for i in with_progress(new, "reading shards", len(new)):
            known[i] = _made(files[i].path, check, workers, keep)
    hold(folder, str(root.absolute()))
    return [index for index in known if index is not None]


def _known(folder: Path, path: Path, check: bool, say: Callable[[str], None]) -> ShardIndex | None:
    for checked in (True,) if check else (True, False):
        try:
            found = read_index(folder / _name(path), _facts(path, checked))
        except DataError as error:
            say(f"{error}: it is made again")
            return None
        if found is not None:
            return found
    return None


def _made(path: Path, check: bool, workers: int, keep: Callable[[Path, ShardIndex, bool], None]) -> ShardIndex:
    before, facts = time.time_ns(), _facts(path, check)
    index = index_of(open_shard(path), check, workers)
    settled = max(facts["state"][1:3]) < before - YOUNG and facts == _facts(path, check)
    if settled:  # else it might change once more within a tick of the clock
        keep(path, index, check)
    return index


def _keeper(folder: Path, say: Callable[[str], None]) -> Callable[[Path, ShardIndex, bool], None]:
    """A function that keeps indexes, until that fails once."""
    works = True

    def keep(path: Path, index: ShardIndex, check: bool) -> None:
        nonlocal works
        if not works:
            return
        try:
            write_index(folder / _name(path), index, _facts(path, check))
        except (StorageError, OSError) as error:
            works = False
            say(f"{error}; the shards are read again at each start")

    with suppress(StorageError, OSError):
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
    return keep


def _facts(path: Path, check: bool) -> dict[str, Any]:
    return {"path": str(path.absolute()), "state": file_state(path), "checked": check}


def _name(path: Path) -> str:
    return f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]}{INDEX}"


def index_of(shard: Shard, check: bool, workers: int) -> ShardIndex:
    """The index of a shard, made now."""
    bad, rows = list(shard.bad), []
    classes = list(shard.order or sorted(set(shard.classes) - {""}))
    number = {name: i for i, name in enumerate(classes)} | {"": NO_LABEL}
    for i, found in enumerate(_looks(shard, check, workers)):
        if isinstance(found, BadImage):
            bad.append((shard.names[i], str(found)))
            continue
        header, place = found.header, (shard.place(i), found.size, found.digest)
        rows.append((*place, header.width, header.height, number[shard.classes[i]], i, header.grey))
    return ShardIndex(np.array(rows, ENTRY), tuple(classes), tuple(bad), shard.order is not None)


def _looks(shard: Shard, check: bool, workers: int) -> Iterator[Looked | BadImage]:
    def look(data: bytes | BadImage) -> Looked | BadImage:
        if isinstance(data, BadImage):
            return data
        try:
            header = read_header(data)
            if check:
                decode(data, 1 if header.grey else 3)
        except BadImage as error:
            return error
        return Looked(hashlib.blake2b(data, digest_size=HASH).digest(), len(data), header)

    contents = shard.contents()
    while some := list(islice(contents, AT_ONCE)):
        yield from map(look, some) if workers == 1 else pool_of(workers).map(look, some)
