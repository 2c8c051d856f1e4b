"""Tokens of many documents one after the other, as a split of bytes on disk, and windows of the documents.

A token takes as many bytes as the largest one needs, the lowest first. Every document ends with its eos, and ends are
found by looking for it. Where documents lie is held in memory, the tokens are not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit.data.split import Examples, Split, Subset
from genkit.data.text.tokenizer import Ids

Rows = NDArray[np.int64]


def width_of(count: int) -> int:
    """The bytes that a token below `count` takes."""
    return max(1, -(-(count - 1).bit_length() // 8))


def packed(ids: Ids, width: int) -> NDArray[np.uint8]:
    """Tokens (n,) as bytes (n, width)."""
    return np.ascontiguousarray(ids.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width])


def unpacked(rows: Tensor) -> Tensor:
    """Bytes (n, width) as tokens (n,) int64."""
    ids = rows[:, 0].to(torch.int64)
    for place in range(1, rows.shape[1]):
        ids += rows[:, place].to(torch.int64) << 8 * place
    return ids


def _equal(rows: Tensor, token: int) -> NDArray[np.bool_]:
    """Tell which rows of bytes (n, width) are a token, (n,); no number is made of them, which would take ten times."""
    wanted = packed(np.array([token]), rows.shape[1])[0]
    found = rows[:, 0].numpy() == wanted[0]
    for place in range(1, rows.shape[1]):
        found &= rows[:, place].numpy() == wanted[place]
    return found


@dataclass(frozen=True)
class Documents:
    """The documents of a split.

    Attributes:
        tokens: A split of rows (width,) uint8, one for each token.
        starts, lengths: (D,) the first token of each document, and the number of its tokens with the eos.
    """

    tokens: Split
    starts: Rows
    lengths: Rows

    @classmethod
    def of(cls, tokens: Split, eos: int) -> Documents:
        """The documents of tokens, each of which eos ends."""
        ends, low = [], 0
        for chunk in tokens.chunks(tokens.chunk_size):
            ends.append(np.flatnonzero(_equal(chunk.x, eos)) + low + 1)
            low += len(chunk)
        until = np.concatenate(ends)
        starts = np.concatenate([np.zeros(1, np.int64), until[:-1]])
        return cls(tokens, starts, until - starts)

    def __len__(self) -> int:
        return len(self.starts)

    def between(self, low: int, high: int) -> Tensor:
        """The tokens low … high − 1 of all."""
        return unpacked(self.tokens.between(low, high).x)

    def at(self, places: Rows) -> Tensor:
        """The tokens (n,) at places (n,) of all."""
        return unpacked(self.tokens.take(torch.from_numpy(places)).x)

    def document(self, number: int) -> Tensor:
        """The tokens of a document, its eos among them."""
        return self.head(number, int(self.lengths[number]))

    def head(self, number: int, most: int) -> Tensor:
        """The first tokens of a document, at most so many."""
        low = int(self.starts[number])
        return self.between(low, low + min(int(self.lengths[number]), most))

    def gathered(self, starts: Rows, counts: Rows, length: int, pad: int) -> Tensor:
        """(n, length) int64: `counts` tokens from each of `starts` (n,) on, and pad after them."""
        places = np.arange(length)[None]
        inside = places < counts[:, None]
        rows = torch.full((len(starts), length), pad)
        rows[torch.from_numpy(inside)] = self.at((starts[:, None] + places)[inside])
        return rows


class UnlabelledRows(Split):
    """Examples without labels, all of them made by `take`."""

    @property
    def labels(self) -> Tensor | None:
        return None

    def between(self, low: int, high: int) -> Examples:
        return self.take(torch.arange(low, high))

    def __getitem__(self, index: Tensor) -> Subset:
        return Subset(self, torch.arange(len(self))[index])


class Windows(UnlabelledRows):
    """The documents of a split in windows of T tokens side by side, the last one of each document padded.

    So every token stands in one window.

    Args:
        documents: What is cut.
        length: T.
        pad: The token that fills a window.
    """

    def __init__(self, documents: Documents, length: int, pad: int) -> None:
        self.documents, self.length, self.pad = documents, length, pad
        self.shape, self.dtype = (length,), torch.int64
        self.until = np.cumsum(-(-documents.lengths // length))

    def __len__(self) -> int:
        return int(self.until[-1])

    def places(self, index: Tensor) -> tuple[Rows, Rows]:
        """The document (B,) of each window, and which of the document's windows it is."""
        numbers = index.numpy()
        document = np.searchsorted(self.until, numbers, side="right")
        before = np.where(document > 0, self.until[document - 1], 0)
        return document, numbers - before

    def take(self, index: Tensor) -> Examples:
        document, number = self.places(index)
        return self.at(document, number * self.length)

    def at(self, document: Rows, offset: Rows) -> Examples:
        """The windows that begin at these tokens (B,) of documents (B,)."""
        counts = np.minimum(self.documents.lengths[document] - offset, self.length)
        starts = self.documents.starts[document] + offset
        return Examples(self.documents.gathered(starts, counts, self.length, self.pad))

    @property
    def values_hash(self) -> str:
        """Of the tokens of all documents and of how they are cut, so that no window needs to be read."""
        facts = (self.documents.tokens.values_hash, self.length, self.pad)
        return hashlib.sha256(repr(facts).encode()).hexdigest()


class WindowNumbers(UnlabelledRows):
    """The numbers of n windows as their values, (1,) int64: what a view of windows starts from.

    Args:
        n: How many.
    """

    def __init__(self, n: int) -> None:
        self.n, self.shape, self.dtype = n, (1,), torch.int64

    def __len__(self) -> int:
        return self.n

    def take(self, index: Tensor) -> Examples:
        return Examples(index[:, None])
