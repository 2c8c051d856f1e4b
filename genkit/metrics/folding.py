"""Sets of rows of which no more is kept than a bound: what lies beyond is folded into moments and a thin sample.

The moments of folded rows are exact (`genkit.metrics.moments`). The sample holds every 2ᵏ-th of them in the order in
which they came, k as small as the bound allows: spread evenly over all rows, whatever their order means. It serves what
moments do not tell, such as the spread of products of columns, and that is an estimate anyway.

All of it is tensors in lists that may be concatenated, so that sets of several processes become one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.errors import NumericalError
from genkit.metrics.moments import Moments

PIECE = 4096  # rows that are folded at once, or a multiple
WINDOW = 1024  # rows, at least, whose scatter is taken at once
KEPT = 2**28  # bytes of a set beyond which rows are folded, 30,000 of 1,024 columns


@dataclass
class RowFold:
    """Folding of one set of rows, which come in order.

    Attributes:
        count: Rows that were folded.
        stride: Every so many of them is in the sample.
    """

    count: int = 0
    stride: int = 1

    def fold(self, rows: list[Tensor], moments: list[Tensor], sample: list[Tensor]) -> list[Tensor]:
        """Move rows (n_i, D) into packed moments and the sample, changed in place, where the bound asks for it.

        Returns the rows that are left, in their order. Raises NumericalError for a row that is not finite.
        """
        size = sum(piece.nbytes for piece in rows)
        if size <= KEPT and not (self.count and sum(map(len, rows)) >= PIECE):
            return rows
        joined = torch.cat(rows)
        whole = len(joined) - len(joined) % PIECE
        self._fold(joined[:whole], moments, sample)
        return [joined[whole:].clone()]

    def _fold(self, rows: Tensor, moments: list[Tensor], sample: list[Tensor]) -> None:
        if not len(rows):
            return
        check_finite(rows, self.count)
        moments[:] = [packed(joined_moments(unpacked(moments), [rows]))]
        kept = torch.cat([*sample, rows[-self.count % self.stride :: self.stride]])
        self.count += len(rows)
        while kept.nbytes > KEPT // 2 and len(kept) > 2:
            kept, self.stride = kept[::2], 2 * self.stride
        sample[:] = [kept.clone()]


def check_finite(rows: Tensor, first: int = 0) -> None:
    """Raises NumericalError for rows (n, D) that are not finite; `first` is the number of the first of them."""
    finite = torch.isfinite(rows).all(1)
    if not finite.all():
        bad = first + int((~finite).nonzero()[0])
        raise NumericalError(f"row {bad:,} of features is not finite: the samples or the features diverged")


def joined_moments(folded: Moments | None, rows: Sequence[Tensor]) -> Moments:
    """The moments of folded rows and others (n_i, D) together. Raises ConfigError where there are none at all."""
    if folded is None:
        return Moments.over(recut(rows))
    return folded.merge(Moments.over(recut(rows))) if any(map(len, rows)) else folded


def recut(pieces: Sequence[Tensor]) -> Iterator[Tensor]:
    """The rows of pieces (n_i, D) in their order, so many at a time that sums over them depend on D and not on the n_i.

    No more than a processor's cache holds where D allows it; a scatter is D x D, so no fewer than that costs.
    """
    size = max(WINDOW, 2 * pieces[0].shape[1]) if pieces else WINDOW
    waiting: list[Tensor] = []
    held = 0
    for piece in pieces:
        low = 0
        while held + len(piece) - low >= size:
            part = piece[low : low + size - held]
            yield torch.cat([*waiting, part]) if waiting else part
            low, waiting, held = low + len(part), [], 0
        if low < len(piece):
            waiting.append(piece[low:])
            held += len(piece) - low
    if waiting:
        yield torch.cat(waiting) if len(waiting) > 1 else waiting[0]


def packed(moments: Moments) -> Tensor:
    """(2 + D + D²,) float64: D, the count, mean and scatter. Blocks may follow each other in one tensor."""
    head = torch.tensor([len(moments.mean), moments.count], dtype=torch.float64)
    return torch.cat([head, moments.mean, moments.scatter.flatten()])


def unpacked(blocks: Sequence[Tensor]) -> Moments | None:
    """The moments of all packed sets together; None where there are none."""
    total: Moments | None = None
    for found in _sets(blocks):
        total = found if total is None else total.merge(found)
    return total


def folded_rows(blocks: Sequence[Tensor]) -> int:
    """The number of rows that packed sets are the moments of."""
    return sum(found.count for found in _sets(blocks))


def _sets(blocks: Sequence[Tensor]) -> Iterator[Moments]:
    """Each packed set, as a view of its block."""
    for tensor in blocks:
        at = 0
        while at < len(tensor):
            dim, count = int(tensor[at]), int(tensor[at + 1])
            mean, scatter = tensor[at + 2 : at + 2 + dim], tensor[at + 2 + dim : at + 2 + dim + dim * dim]
            yield Moments(count, mean, scatter.view(dim, dim))
            at += 2 + dim + dim * dim
