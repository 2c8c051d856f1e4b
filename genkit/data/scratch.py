"""Examples in the order of their source, written to a scratch file, and from there to the three splits.

Within a split, examples stand in the order of the hashes of their contents (and of their labels, where these are
equal): the same examples give the same splits, whether they came from a folder, an archive, an array or a table.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genkit.data.content_split import NAMES, split_of_each
from genkit.data.dataset import SplitName
from genkit.data.on_disk import TYPES, Layout
from genkit.data.prepared import Writer
from genkit.data.split import CHUNK, Examples

HASH = 16  # bytes of the hash of one example
FILE = "scratch"


@dataclass(frozen=True)
class Placed:
    """Examples in their splits.

    Attributes:
        hashes: (n,) of each, in the order of the source.
        splits: Of each, in the order of the source.
        rows: Numbers of the examples of each split, in its order.
    """

    hashes: NDArray[np.void]
    splits: Sequence[SplitName]
    rows: Mapping[SplitName, NDArray[np.int64]]


class Scratch:
    """The scratch file; a context manager, after which it is gone.

    Args:
        writer: Of the prepared data, in whose folder it lies.
        shape: Of one example, channels first.
        dtype: "uint8", "int64" or "float32".
    """

    def __init__(self, writer: Writer, shape: tuple[int, ...], dtype: str) -> None:
        self.writer, self.shape, self.dtype = writer, shape, dtype
        self.path = writer.folder / FILE
        self._hashes = bytearray()

    def __enter__(self) -> Scratch:
        self._file = open(self.path, "w+b")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self.path.unlink()

    def add(self, values: NDArray[Any]) -> None:
        """Append one example of the shape and type."""
        data = np.ascontiguousarray(values).tobytes()
        self._file.write(data)
        self._hashes += hashlib.blake2b(data, digest_size=HASH).digest()

    def __len__(self) -> int:
        return len(self._hashes) // HASH

    def place(self, parts: Sequence[SplitName] | None, labels: NDArray[np.int64] | None, source: str) -> Placed:
        """Write the splits.

        Args:
            parts: The split of each example where the source has splits.
            labels: (n,) where there are any.
            source: For messages.

        Raises:
            DataError: too few examples for three splits.
        """
        self._file.flush()
        hashes = np.frombuffer(bytes(self._hashes), dtype=f"V{HASH}")
        splits = np.array(split_of_each(hashes, parts, source))
        order = hashes.argsort(kind="stable") if labels is None else np.lexsort((labels, hashes))
        rows = {name: order[splits[order] == name] for name in NAMES}
        for name in NAMES:
            layout = Layout(len(rows[name]), self.shape, self.dtype, labels is not None)
            self.writer.split(name, self._examples(rows[name], labels), layout)
        return Placed(hashes, splits.tolist(), rows)

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """The examples `rows` (B,), as (B, *shape).

        They are read by their offset: the pages of a map would count as this process's own.
        """
        out = np.empty((len(rows), *self.shape), self.dtype)
        for row, values in zip(rows.tolist(), out.reshape(len(rows), -1).view(np.uint8), strict=True):
            os.preadv(self._file.fileno(), (values.data,), row * self.width)
        return out

    @property
    def width(self) -> int:
        """Bytes of one example."""
        return prod(self.shape) * TYPES[self.dtype].itemsize

    def _examples(self, rows: NDArray[np.int64], labels: NDArray[np.int64] | None) -> Iterator[Examples]:
        """The examples `rows`, in this order."""
        size = max(1, CHUNK // self.width)
        for low in range(0, len(rows), size):
            part = rows[low : low + size]
            y = None if labels is None else torch.from_numpy(labels[part])
            yield Examples(torch.from_numpy(self.read(part)), y)
