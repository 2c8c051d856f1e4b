"""A shard that is a Parquet file of images, as Hugging Face `datasets` writes them; needs pyarrow (the extra `hf`).

Values of a row group are compressed together, so an image is read by reading its group. The latest groups are kept, as
far as they come to HELD bytes; windows are made so small that the groups of one fit (`window_of`), and each group is
then read about once in an epoch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from genkit.data.images.decoding import BadImage
from genkit.data.images.row_images import INSTALL, Columns, ParquetRows, pa, reader_of, rows_errors
from genkit.data.shards.index_file import ShardIndex
from genkit.data.shards.shard import Shard
from genkit.errors import ConfigError, DataError
from genkit.printing import shown

SUFFIX = ".parquet"
HELD = 2**29  # bytes of row groups
LARGEST = HELD // 4  # bytes of one


class ParquetShard(Shard):
    """The images of a file, row by row.

    Args:
        path: The file.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: it is damaged, or has no column of images.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.bad = path, ()
        self.rows = parquet_rows(path)
        self.columns = Columns.of(self.rows, None, None)
        self.names = [f"row {i}" for i in range(self.rows.n)]
        labelled = self.columns.label is not None
        self.classes = self.columns.class_names(self.rows) if labelled else [""] * self.rows.n
        self.order = self.columns.order
        about = self.rows.file.metadata
        sizes = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
        self._ends = np.cumsum(sizes)

    def place(self, i: int) -> int:
        return int(np.searchsorted(self._ends, i, side="right"))

    def contents(self) -> Iterator[bytes | BadImage]:
        for data in self.rows.values(self.columns.image):
            yield BadImage("no bytes in its row") if data is None else data


class RowGroups:
    """Row groups of several files, the latest ones kept; several threads may ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[Path, int], tuple[Any, int]] = OrderedDict()
        self._open: dict[Path, tuple[ParquetRows, str]] = {}
        self._bytes = 0

    def read(self, path: Path, group: int, row: int) -> bytes:
        """The bytes of one image, `row` counted in the file. Raises DataError."""
        with self._lock:
            values, first = self._group(path, group)
        value = values[row - first].as_py() if first <= row < first + len(values) else None
        return b"" if value is None else bytes(value)

    def _group(self, path: Path, group: int) -> tuple[Any, int]:
        """The values of a group, and the row of the first one."""
        key = path, group
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if path not in self._open:
            rows = parquet_rows(path)
            self._open[path] = rows, Columns.of(rows, None, None).image
        rows, image = self._open[path]
        with rows_errors(path):
            values, about = rows.group(group, image), rows.file.metadata
        first = sum(about.row_group(i).num_rows for i in range(group))
        self._kept[key] = values, first
        self._bytes += values.nbytes
        while self._bytes > HELD and len(self._kept) > 1:
            _, (old, _) = self._kept.popitem(last=False)
            self._bytes -= old.nbytes
        return self._kept[key]


def window_of(asked: int, indexes: list[ShardIndex]) -> int:
    """The images that an epoch mixes, so few that the row groups of a window can be held.

    Args:
        asked: What the user allows.
        indexes: Of all Parquet files.

    Raises:
        DataError: a row group is too large.
    """
    total = count = largest = 0
    for index in indexes:
        sizes, groups = index.entries["size"].astype(np.int64), index.entries["at"]
        total, count = total + int(sizes.sum()), count + len(sizes)
        starts = np.flatnonzero(np.diff(groups, prepend=np.uint64(2**63)) != 0)
        largest = max(largest, int(np.add.reduceat(sizes, starts).max(initial=0))) if len(sizes) else largest
    if largest > LARGEST:
        raise DataError(
            f"a row group of {largest:,} bytes, the limit is {LARGEST:,}: write shards by genkit data shard data=hub"
        )
    return asked if not total else max(1, min(asked, (HELD - 2 * largest) * count // total))


def parquet_rows(path: Path) -> ParquetRows:
    """The reader of a file. Raises ConfigError without pyarrow, DataError where the file is none."""
    if pa is None:
        raise ConfigError(f"{shown(path)}: shards of Parquet need pyarrow: {INSTALL}")
    rows = reader_of(path)
    if not isinstance(rows, ParquetRows):
        raise DataError(f"{shown(path)}: no Parquet file: write shards by genkit data shard data=hub")
    return rows
