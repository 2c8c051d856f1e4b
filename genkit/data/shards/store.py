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
from genkit.data.shards.open_shard import open_shard
from genkit.data.shards.parquet_shard import SUFFIX, RowGroups, window_of
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import open_regular

KEPT_OPEN = 256  # files; of more shards, the others are opened for each image


class ShardStore:
    """The images of shards: those of the first one, of the second, …

    Attributes:
        starts: (S + 1,) number of the first image of each shard, and N.
        blocks: (B + 1,) number of the first image of each part that is read together, and N: a zip, or a row group.

    Args:
        paths: The shards.
        indexes: Of each.
    """

    def __init__(self, paths: Sequence[Path], indexes: Sequence[ShardIndex]) -> None:
        self.paths, self.indexes = paths, indexes
        self.starts = np.array([0, *accumulate(len(index.entries) for index in indexes)])
        self._grouped = [path.suffix == SUFFIX for path in paths]
        self._groups = RowGroups()
        self.blocks = self._blocks()
        self._open: dict[int, int] = {}
        for shard, path in enumerate(paths[:KEPT_OPEN]):
            if not self._grouped[shard]:
                self._open[shard] = _opened(path)
                weakref.finalize(self, os.close, self._open[shard])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def window_of(self, asked: int) -> int:
        """The images that an epoch mixes with each other; raises DataError where a row group is too large."""
        return window_of(asked, [index for index, grouped in zip(self.indexes, self._grouped, strict=True) if grouped])

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
        data = self._read(shard, entry)
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
            return open_shard(self.paths[shard]).names
        except DataError:  # it was replaced since
            return _Unknown()

    def _blocks(self) -> NDArray[np.int64]:
        starts: list[int] = []
        for first, index, grouped in zip(self.starts.tolist(), self.indexes, self._grouped, strict=False):
            groups = index.entries["at"]
            changes = np.flatnonzero(groups[1:] != groups[:-1]) + 1 if grouped else np.empty(0, np.int64)
            starts += [first, *(first + changes).tolist()]
        return np.array([*starts, len(self)])

    def _read(self, shard: int, entry: np.void) -> bytes:
        size, at = int(entry["size"]), int(entry["at"])
        if self._grouped[shard]:
            return self._groups.read(self.paths[shard], at, int(entry["number"]))
        if shard in self._open:
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
