"""The bytes of the images of some shards, by number: read by their offset, and compared with the hash of the index."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genkit.data.shards.index_file import HASH, ShardIndex
from genkit.data.shards.zip_shard import ZipShard
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import open_regular

KEPT_OPEN = 256  # files; of more shards, the others are opened for each image


class ShardStore:
    """The images of shards: those of the first one, of the second, …

    Attributes:
        starts: (S + 1,) number of the first image of each shard, and N.

    Args:
        paths: The shards.
        indexes: Of each.
    """

    def __init__(self, paths: Sequence[Path], indexes: Sequence[ShardIndex]) -> None:
        self.paths, self.indexes = paths, indexes
        self.starts = np.array([0, *accumulate(len(index.entries) for index in indexes)])
        self._open = [_opened(path) for path in paths[:KEPT_OPEN]]
        for descriptor in self._open:
            weakref.finalize(self, os.close, descriptor)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def column(self, name: str) -> NDArray[np.generic]:
        """(N,) one field of all entries, see `index_file.ENTRY`."""
        return np.concatenate([index.entries[name] for index in self.indexes])

    def place(self, number: int) -> tuple[int, int]:
        """The shard of an image and its number in the index of that."""
        shard = int(np.searchsorted(self.starts, number, side="right")) - 1
        return shard, number - int(self.starts[shard])

    def read(self, number: int) -> bytes:
        """The bytes of an image. Raises DataError where they are no longer what was indexed."""
        shard, row = self.place(number)
        entry = self.indexes[shard].entries[row]
        data = self._read(shard, int(entry["size"]), int(entry["at"]))
        if hashlib.blake2b(data, digest_size=HASH).digest() != entry["hash"].tobytes():
            raise DataError(
                f"{shown(self.paths[shard])}: {shown(self.name(number))} was changed while it was in use: begin again"
            )
        return data

    def name(self, number: int) -> str:
        """The name of an image in its shard, looked up there."""
        shard, row = self.place(number)
        return self.names(shard)[int(self.indexes[shard].entries[row]["number"])]

    def names(self, shard: int) -> Sequence[str]:
        """The names of the images of a shard, those that cannot be used too, read from it."""
        try:
            return ZipShard(self.paths[shard]).names
        except DataError:  # it was replaced since
            return _Unknown()

    def _read(self, shard: int, size: int, at: int) -> bytes:
        if shard < KEPT_OPEN:
            return os.pread(self._open[shard], size, at)
        descriptor = _opened(self.paths[shard])
        try:
            return os.pread(descriptor, size, at)
        finally:
            os.close(descriptor)


class _Unknown(Sequence[str]):
    """Numbers in place of names that are no longer there."""

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i):  # type: ignore[no-untyped-def]
        return f"image {i}"


def _opened(path: Path) -> int:
    with open_regular(path) as file:
        return os.dup(file.fileno())
