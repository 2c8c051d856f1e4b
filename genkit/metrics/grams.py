r"""The n-grams of sequences, and how far sequences repeat others, exactly and without loops over positions.

Runs of units (words, characters) are known by whole numbers, equal for equal runs. Those of 2ᵏ⁺¹ units are pairs of
those of 2ᵏ, so a dozen sorts number runs of any length (prefix doubling; Karp, Miller and Rosenberg 1972), and in the
order of their numbers all suffixes stand as in a suffix array (Manber and Myers 1993). Of a suffix of one text, the
neighbours in that order among those of another text share the longest beginning with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genkit.data.text.tokenizer import Ids

Numbers = NDArray[np.int32]


def grams(sequences: Sequence[Ids], n: int) -> tuple[Ids, Ids]:
    """(M,) numbers of the n-grams of sequences, equal for equal n-grams, and (M,) the sequence that each is in."""
    sizes = np.array([len(sequence) for sequence in sequences], np.int64)
    units = _dense(np.concatenate([*sequences, np.empty(0, np.int64)]))
    owner = np.repeat(np.arange(len(sequences)), sizes)
    left = np.repeat(sizes.cumsum(), sizes) - np.arange(len(units))  # units from here to the end of the sequence
    count = max(len(units) - n + 1, 0)
    number = units[:count]
    for size in range(1, n):
        number = _pairs(number, units[size : size + count])
    whole = left[:count] >= n
    return number[whole], owner[:count][whole]


def longest_matches(train: Sequence[Ids], test: Sequence[Ids]) -> list[Ids]:
    """For each place of each test sequence, the length of the longest run from there that some training sequence has.

    Args:
        train: Sequences of units ≥ 0; a run lies within one of them.
        test: Likewise.
    """
    units = np.concatenate([*_closed(train, 0), *_closed(test, 1)])
    learned = sum(map(len, train)) + len(train)
    levels = _levels(units, max(map(len, test), default=0))
    order = np.argsort(levels[-1], kind="stable")
    of_train, place = order < learned, np.arange(len(order))
    before = np.maximum.accumulate(np.where(of_train, place, -1))
    after = np.minimum.accumulate(np.where(of_train, place, len(order))[::-1])[::-1]
    asked = ~of_train
    own, found = order[asked], np.zeros(len(units), np.int64)
    for neighbour in (before[asked], after[asked]):
        there = (neighbour >= 0) & (neighbour < len(order))
        shared = _shared(levels, own[there], order[neighbour[there]])
        found[own[there]] = np.maximum(found[own[there]], shared)
    edges = np.cumsum([learned, *(len(sequence) + 1 for sequence in test)])
    return [found[low : low + len(sequence)] for low, sequence in zip(edges, test, strict=False)]


def _closed(sequences: Sequence[Ids], end: int) -> list[Ids]:
    """The sequences, each with a sign at its end that is no unit."""
    return [np.append(sequence + 2, end) for sequence in sequences]


def _levels(units: Ids, longest: int) -> list[Numbers]:
    """Numbers of the runs of 1, 2, 4, … units from each place on, in their order; the last ones exceed `longest`."""
    levels, size = [_dense(units).astype(np.int32)], 1
    while size <= longest:
        number = levels[-1].astype(np.int64)
        following = np.concatenate([number[size:] + 1, np.zeros(min(size, len(number)), np.int64)])
        levels.append(_pairs(number, following).astype(np.int32))
        size *= 2
    return levels


def _shared(levels: Sequence[Numbers], one: Ids, other: Ids) -> Ids:
    """Units that the suffixes at two places (M,) begin with alike; fewer than a run of the last level has."""
    length = np.zeros(len(one), np.int64)
    last = len(levels[0]) - 1
    for power in range(len(levels) - 2, -1, -1):
        number = levels[power]
        alike = number[np.minimum(one + length, last)] == number[np.minimum(other + length, last)]
        length += np.where(alike, 1 << power, 0)
    return length


def _dense(units: Ids) -> Ids:
    return np.unique(units, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _pairs(one: Ids, other: Ids) -> Ids:
    """Numbers of pairs (M,) in their order, equal where both are."""
    return _dense(one * (int(other.max(initial=0)) + 1) + other)
