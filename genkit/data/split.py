"""A split of a dataset as a protocol: random access to stored values, in memory or on disk.

A reader asks for the examples of an index (`take`), or for all of them in turn (`chunks`), and identifies a
split by its `fingerprint`. So order, resumption and scores are the same functions of (seed, epoch, index) for values in
memory (`InMemory`) and for those on disk (`genkit.data.on_disk`), and memory need not grow with a split.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit.data.epoch_order import EpochOrder, WholeOrder

CHUNK = 2**24  # bytes of values that are looked at together where all of a split are


@dataclass(frozen=True, eq=False)
class Examples:
    """Some examples of a split.

    Attributes:
        x: (B, *shape) stored values.
        y: (B,) int64 labels, or None.
        c: (B, *condition) stored values of the images that pairs are made from, or None.
    """

    x: Tensor
    y: Tensor | None = None
    c: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


class Split(ABC):
    """Stored values of one split: N examples of one shape and type, and their labels where they have any.

    `Split(x, y)` makes an `InMemory`, as `Path()` makes a path of this system.

    Attributes:
        shape: Of one example, channels first.
        dtype: Of the values: uint8 or int64 for discrete data, float32 for continuous data.
        labels: (N,) int64 in memory, or None.
        ahead: Micro-batches that are worth making ahead of the training, where that takes time.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    ahead: int = 0

    def __new__(cls, *_: object, **__: object) -> Split:
        return super().__new__(InMemory if cls is Split else cls)

    @property
    @abstractmethod
    def labels(self) -> Tensor | None:
        """(N,) int64, or None."""

    @abstractmethod
    def __len__(self) -> int:
        """N."""

    @abstractmethod
    def take(self, index: Tensor) -> Examples:
        """The examples `index` (B,) int64, copied: x[index] and y[index]."""

    @abstractmethod
    def between(self, low: int, high: int) -> Examples:
        """The examples low … high − 1, 0 ≤ low ≤ high ≤ N; perhaps a view, so not to be written to."""

    @abstractmethod
    def __getitem__(self, index: Tensor) -> Split:
        """The examples `index` (n,) int64, or those of a mask (N,) bool, as a split."""

    def chunks(self, size: int) -> Iterator[Examples]:
        """All examples in order, `size` at a time; not to be written to."""
        return (self.between(low, min(low + size, len(self))) for low in range(0, len(self), size))

    def epoch_order(self, seed: int, epoch: int) -> EpochOrder:
        """The order of the examples in an epoch of the training."""
        return WholeOrder(len(self), seed, epoch)

    def content_keys(self) -> NDArray[np.void] | None:
        """(N,) bytes that are equal where examples are the same file, in place of values that would cost much to read.

        None: the values themselves are at hand.
        """
        return None

    @property
    def chunk_size(self) -> int:
        """Number of examples in CHUNK bytes."""
        width = torch.Size(self.shape).numel() * self.dtype.itemsize
        return max(1, CHUNK // max(1, width))

    @cached_property
    def values_hash(self) -> str:
        """`content_hash` of all values, labels left out; read chunk by chunk, once."""
        chunks = (chunk.x for chunk in self.chunks(self.chunk_size))
        return hash_of(chunks, (len(self), *self.shape), self.dtype)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of values, shape and type, and with labels a second one of those; it knows the split by content."""
        return self.values_hash if self.labels is None else f"{self.values_hash} {content_hash(self.labels)}"


@dataclass(frozen=True, eq=False)
class InMemory(Split):
    """A split whose values are one tensor.

    Attributes:
        x: (N, *shape), channels first; uint8 or int64 for discrete data, float32 for continuous data.
        y: (N,) int64 labels, or None.
        c: (N, *condition) the other images of pairs, or None.
    """

    x: Tensor
    y: Tensor | None = None
    c: Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(self.x.shape[1:])

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        return self.x.dtype

    @property
    def labels(self) -> Tensor | None:
        return self.y

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor) -> Examples:
        # ten times as fast as [index]
        parts = (self.x, self.y, self.c)
        return Examples(*(None if part is None else part.index_select(0, index) for part in parts))  # type: ignore[arg-type]

    def between(self, low: int, high: int) -> Examples:
        return Examples(*(None if part is None else part[low:high] for part in (self.x, self.y, self.c)))  # type: ignore[arg-type]

    def __getitem__(self, index: Tensor) -> InMemory:
        return InMemory(*(None if part is None else part[index] for part in (self.x, self.y, self.c)))  # type: ignore[arg-type]

    @cached_property
    def fingerprint(self) -> str:
        own = super().fingerprint
        return own if self.c is None else f"{own} {content_hash(self.c)}"


class Subset(Split):
    """Some examples of another split, in an order of their own, read from there when they are asked for.

    Args:
        whole: The other split.
        index: (n,) int64 numbers of its examples.
    """

    def __init__(self, whole: Split, index: Tensor) -> None:
        self.whole, self.index = whole, index
        self.shape, self.dtype = whole.shape, whole.dtype
        self._labels = None if whole.labels is None else whole.labels[index]

    @property
    def labels(self) -> Tensor | None:
        return self._labels

    def __len__(self) -> int:
        return len(self.index)

    def take(self, index: Tensor) -> Examples:
        return self.whole.take(self.index[index])

    def between(self, low: int, high: int) -> Examples:
        return self.whole.take(self.index[low:high])

    def __getitem__(self, index: Tensor) -> Subset:
        return Subset(self.whole, self.index[index])

    def content_keys(self) -> NDArray[np.void] | None:
        keys = self.whole.content_keys()
        return None if keys is None else keys[self.index.numpy()]


def content_hash(x: Tensor) -> str:
    """sha256 over the values, the shape and the dtype of a tensor."""
    return hash_of([x], tuple(x.shape), x.dtype)


def empty_hash(shape: tuple[int, ...], dtype: torch.dtype) -> hashlib._Hash:
    """The hash that `hash_of` feeds with the values of a tensor."""
    return hashlib.sha256(f"{shape} {dtype}\n".encode())


def hash_of(parts: Iterable[Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> str:
    """`content_hash` of a tensor of this shape and type that comes in parts, one after the other."""
    digest = empty_hash(shape, dtype)
    for part in parts:
        digest.update(part.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
