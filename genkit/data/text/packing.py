r"""Short documents side by side in one row of T tokens, so that little of it is padding.

Rows are filled by best fit: a document goes where the least room is left that takes it (Johnson et al. 1974; of
language models Krell et al. 2021, 2107.02027). Documents come in an order drawn once, so that which of them share a row
has nothing to do with where they stood; and each of the pieces of T tokens that a longer document is cut into is a row
of its own, all but the last.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from genkit.data.split import Examples
from genkit.data.text.token_rows import Documents, Rows, UnlabelledRows


def best_fit(sizes: Rows, room: int) -> Rows:
    """The row of each piece, (n,) int64, in the order in which the pieces come.

    Args:
        sizes: (n,) 1 … room.
        room: Of a row.
    """
    rows = np.empty(len(sizes), np.int64)
    begun: list[list[int]] = [[] for _ in range(room + 1)]  # rows by the room that they have left
    free = 0  # bit r: there is a row with room r
    count = 0
    for piece, size in enumerate(sizes.tolist()):
        if fitting := free >> size:
            left = (fitting & -fitting).bit_length() - 1
            row = begun[left + size].pop()
            if not begun[left + size]:
                free ^= 1 << left + size
        else:
            left, row, count = room - size, count, count + 1
        if left:
            begun[left].append(row)
            free |= 1 << left
        rows[piece] = row
    return rows


class PackedDocuments(UnlabelledRows):
    """The documents of a split, several in a row of T tokens, padded at the end.

    Args:
        documents: What is packed.
        length: T.
        pad: The token that fills a row.
        seed: Of the order in which documents come.
    """

    def __init__(self, documents: Documents, length: int, pad: int, seed: int = 0) -> None:
        self.documents, self.length, self.pad, self.seed = documents, length, pad, seed
        self.shape, self.dtype = (length,), torch.int64
        pieces = -(-documents.lengths // length)
        document = np.repeat(np.arange(len(documents)), pieces)
        offset = (np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * length
        order = np.random.default_rng(seed).permutation(len(document))
        starts = (documents.starts[document] + offset)[order]
        sizes = np.minimum(documents.lengths[document] - offset, length)[order]
        row = best_fit(sizes, length)
        together = np.argsort(row, kind="stable")
        self.starts, self.sizes = starts[together], sizes[together]  # of the pieces, those of a row side by side
        self.first = np.searchsorted(row[together], np.arange(int(row.max()) + 2))  # the first piece of each row

    def __len__(self) -> int:
        return len(self.first) - 1

    def take(self, index: Tensor) -> Examples:
        rows = index.numpy()
        counts = self.first[rows + 1] - self.first[rows]
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        pieces = np.repeat(self.first[rows], counts) + within
        sizes = self.sizes[pieces]
        begin = np.cumsum(sizes) - sizes
        places = np.repeat(self.starts[pieces] - begin, sizes) + np.arange(int(sizes.sum()))
        filled = np.bincount(np.repeat(np.arange(len(rows)), counts), sizes, len(rows))
        x = torch.full((len(rows), self.length), self.pad)
        inside = torch.from_numpy(np.arange(self.length)[None] < filled[:, None])
        x[inside] = self.documents.at(places)
        return Examples(x)

    @property
    def values_hash(self) -> str:
        """Of the tokens of all documents and of how they are packed, so that no row needs to be read."""
        facts = (self.documents.tokens.values_hash, self.length, self.pad, "packed", self.seed)
        return hashlib.sha256(repr(facts).encode()).hexdigest()
