r"""Orders of examples that do not depend on the order in which a file happens to list them.

A file may be sorted by class, by date or by quality. Its first n examples then represent nothing, and a choice by
position (folds, subsets, resamples) would change with the list. So examples are first put into **canonical order**, the
lexicographic order of their values, and random choices are made from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit.data.split import Examples, InMemory, Split, Subset
from genkit.noise import generator_of

COLUMNS = 64  # compared at once
FEW = 8  # bytes of a row that are compared first: most rows of real numbers, and of photographs, differ there


def canonical_order(values: Tensor | Split) -> Tensor:
    """The order (n,) int64 that sorts the rows of values (n, …), any real type, the first column first.

    Equal rows keep their order, in which nobody sees a difference. Of a split, COLUMNS columns at a time are held. A
    split whose values cost much to read is sorted by the hashes of its examples, no less a function of their set.
    """
    split = InMemory(values.detach().cpu()) if isinstance(values, Tensor) else values
    if (keys := split.content_keys()) is not None:
        return torch.from_numpy(keys.argsort(kind="stable"))
    place = np.zeros(len(split), dtype=np.int64)  # of a row's group in the order; rows of one group are equal so far
    tied = np.arange(len(split))
    low, width = 0, FEW if split.dtype == torch.uint8 else FEW // 8
    while low < prod(split.shape) and len(tied):
        letters = np.concatenate([_letters(rows) for rows in _columns(split, tied, low, low + width)])
        place[tied], alone = _refined(place[tied], letters)
        tied = tied[~alone]
        low, width = low + width, COLUMNS
    return torch.from_numpy(place.argsort(kind="stable"))


def random_order(split: Split, n: int, seed: int) -> Tensor:
    """(n,) int64: n ≤ N of the examples without replacement, a function of (seed, n) and of the set of all N."""
    labelled = torch.arange(len(split)) if split.labels is None else split.labels.argsort(stable=True)
    pick = torch.randperm(len(split), generator=generator_of(seed, "draw", n))[:n]
    order = canonical_order(Subset(split, labelled))  # of equal values, those of lower labels stand first
    return labelled[order[pick]]


def settled(split: Split) -> Examples:
    """The examples in an order that is random and yet a function of the examples alone, not of their order."""
    return drawn(split, len(split), 0)


def drawn(split: Split, n: int, seed: int) -> Examples:
    """The examples that `random_order` chooses, with their labels."""
    return split.take(random_order(split, n, seed))


def _columns(split: Split, chosen: NDArray[np.int64], low: int, high: int) -> Iterator[Tensor]:
    """Columns low … high − 1 of the chosen examples (n,) as rows (b, D), a chunk at a time."""
    for index in torch.from_numpy(chosen).split(split.chunk_size):
        if isinstance(split, InMemory):  # no other columns are copied
            yield split.x.flatten(1)[:, low:high].index_select(0, index)
        else:
            yield split.take(index).x.flatten(1)[:, low:high]


def _letters(rows: Tensor) -> NDArray[np.uint8]:
    """(n, B): bytes that compare as the values of rows (n, C) do."""
    if rows.dtype == torch.uint8:
        return np.ascontiguousarray(rows.numpy())
    bits = (rows.to(torch.float64) + 0.0).contiguous().numpy().view(np.uint64)  # -0.0 + 0.0 is 0.0
    negative = bits >> np.uint64(63) == 1
    ordered = np.where(negative, ~bits, bits | np.uint64(1 << 63))
    return ordered.astype(">u8").view(np.uint8)


def _refined(place: NDArray[np.int64], letters: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Groups (n,) cut further by letters (n, B): each row's new group, and whether it is alone there.

    A group is named by the place of its first row in the order of all rows.
    """
    keys = np.concatenate([place.astype(">i8").view(np.uint8).reshape(len(place), -1), letters], 1)
    order = keys.view(f"V{keys.shape[1]}")[:, 0].argsort(kind="stable")
    keys, sorted_place = keys[order], place[order]
    starts = np.concatenate([[True], (keys[1:] != keys[:-1]).any(1)])
    sizes = np.diff(np.flatnonzero(np.append(starts, True)))
    first = np.repeat(np.flatnonzero(starts), sizes)
    found, alone = np.empty_like(place), np.empty(len(place), dtype=bool)
    found[order] = sorted_place + first - np.searchsorted(sorted_place, sorted_place)
    alone[order] = np.repeat(sizes == 1, sizes)
    return found, alone
