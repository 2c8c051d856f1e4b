"""Distances between rows, exact where they are ties, in blocks that fit the memory.

A full table of distances between n and m rows is never held: what reads it asks for one block or tile after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt

import torch
from torch import Tensor

BLOCK_ELEMENTS = 2**20  # 8 MB of float64; a block and its temporaries stay under 60 MB

RIM = 1e-9  # of a squared distance, within which another one is equal to it: rounding splits ties
CANCELLED = 1e-3  # of the squares of two rows, below which the product's error of 1e-13 comes near the rim
FEW = 20  # one in so many pairs is taken one by one; more of them all together


def as_rows(x: Tensor) -> Tensor:
    """(B, *shape) to (B, D) float64; rows that are so already come back as the same object."""
    return (x if x.ndim == 2 else x.flatten(1)).to(torch.float64)


def blocks(n: int, columns: int) -> Iterator[slice]:
    """Slices that cover range(n), such that a block of rows with `columns` columns holds at most BLOCK_ELEMENTS.

    Write what a block gives into a tensor made beforehand: small results kept one by one lie between the blocks in
    memory and keep the freed ones from being used again (measured: 0.7 GB more at n = 10,000).
    """
    step = max(1, BLOCK_ELEMENTS // max(columns, 1))
    for low in range(0, n, step):
        yield slice(low, min(low + step, n))


def tiles(n: int, m: int) -> Iterator[tuple[slice, slice]]:
    """Slices of range(n) and range(m) that cut the pairs into squares of at most BLOCK_ELEMENTS.

    Unlike strips of `blocks`, which become thin where columns are many, squares read few rows for many pairs.
    """
    side = max(1, isqrt(BLOCK_ELEMENTS))
    for low in range(0, n, side):
        for left in range(0, m, side):
            yield slice(low, min(low + side, n)), slice(left, min(left + side, m))


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i − y_j|² of rows (n, D) and (m, D) as (n, m), by one matrix product; centre the rows first.

    The product leaves an error of about 1e-15 (|x|² + |y|²). Norms are taken 1e-13 smaller and negative values cut, so
    that equal rows are at distance 0 exactly; features come from float32 networks, which resolve no less.
    """
    x2, y2 = (rows.square().sum(1).mul_(1.0 - 1e-13) for rows in (x, y))
    return torch.addmm(y2, x, y.T, alpha=-2.0).add_(x2[:, None]).clamp_min_(0.0)


def comparable_distances(x: Tensor, y: Tensor) -> Tensor:
    """As `squared_distances`, with a relative error below RIM, so that equal distances are found equal.

    A distance that is small beside the rows themselves has lost digits in the product; it is taken from the rows'
    difference. Rows that are equal to 13 digits count as equal, at distance 0.
    """
    d2 = squared_distances(x, y)
    least_x, least_y = (CANCELLED * rows.square().sum(1) for rows in (x, y))
    rows = (d2.amin(1) < least_x + least_y.amax()).nonzero()[:, 0]  # few, where columns are many
    some = d2 if len(rows) == len(d2) else d2[rows]
    i, j = ((some < least_x[rows, None] + least_y) & (some > 0.0)).nonzero(as_tuple=True)
    i = rows[i]
    if len(i) * FEW > d2.numel():
        exact = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square_()
        return exact.where(d2 > 0.0, 0.0)
    for part in blocks(len(i), x.shape[1]):
        d2[i[part], j[part]] = (x[i[part]] - y[j[part]]).square().sum(1)
    return d2


def closer(d2: Tensor, other: Tensor) -> Tensor:
    """Bool: squared distances that are smaller than others, and not only by rounding."""
    return d2 < other * (1.0 - RIM)


def as_close(d2: Tensor, other: Tensor) -> Tensor:
    """Bool: squared distances that are smaller than others or equal up to rounding."""
    return d2 <= other * (1.0 + RIM)


def tied_ranks(d2: Tensor) -> Tensor:
    """(n,) int64: the ranks of squared distances (n,) from 0 up; those that differ by rounding alone share one."""
    ordered, order = d2.sort()
    rises = ~as_close(ordered[1:], ordered[:-1])
    ranks = torch.cat([rises.new_zeros(min(len(d2), 1), dtype=torch.int64), rises.cumsum(0)])
    return torch.empty_like(order).scatter_(0, order, ranks)


def nearest_distances(points: Tensor, others: Tensor, k: int = 1) -> Tensor:
    """(n, k): squared distances from points (n, D) to their k ≤ m nearest of the others (m, D); centre rows first."""
    found = points.new_full((len(points), k), torch.inf)
    for part, tile in tiles(len(points), len(others)):
        d2 = comparable_distances(points[part], others[tile])
        near = d2.amin(1, keepdim=True) if k == 1 else d2.topk(min(k, d2.shape[1]), largest=False).values
        found[part] = torch.cat([found[part], near], 1).sort(1).values[:, :k]
    return found


def nearest_squared(points: Tensor, others: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k ≤ m nearest of the others (m, D) of each of the points (n, D), nearest first; centre the rows first.

    Their squared distances (n, k), and which they are (n, k) int64; of equally near ones the first count as nearer.
    """
    found, which = points.new_full((len(points), k), torch.inf), torch.zeros(len(points), k, dtype=torch.int64)
    for part, tile in tiles(len(points), len(others)):
        d2 = comparable_distances(points[part], others[tile])
        near, index = _first_of_nearest(d2) if k == 1 else d2.sort(dim=1, stable=True)
        values = torch.cat([found[part], near[:, :k]], 1)
        found[part], which[part] = _nearest_first(values, torch.cat([which[part], index[:, :k] + tile.start], 1), k)
    return found, which


def all_nearest(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest ones of the others (m, D) of each of the points (n, D), all that are equally near; centre rows first.

    Their squared distances (n,), and the pairs (P,), (P,) int64 of a point and one of its nearest others.
    """
    distance = points.new_full((len(points),), torch.inf)
    kept = []
    for part, tile in tiles(len(points), len(others)):
        d2 = comparable_distances(points[part], others[tile])
        distance[part] = torch.minimum(distance[part], d2.amin(1))
        i, j = as_close(d2, distance[part][:, None]).nonzero(as_tuple=True)
        kept.append((i + part.start, j + tile.start, d2[i, j]))
    which, nearest, found = (torch.cat(columns) for columns in zip(*kept, strict=True))
    near = as_close(found, distance[which])  # others came nearer in later tiles
    return distance, which[near], nearest[near]


def _first_of_nearest(d2: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest of each row (n, m) and the first place where it stands, (n, 1) both."""
    least = d2.amin(1, keepdim=True)
    return least, as_close(d2, least).to(torch.uint8).argmax(1, keepdim=True)


def _nearest_first(d2: Tensor, index: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Rows of squared distances (n, c) and of places (n, c), the k nearest first; of equal ones the first places."""
    d2, order = d2.sort(dim=1, stable=True)
    rank = torch.nn.functional.pad(~as_close(d2[:, 1:], d2[:, :-1]), (1, 0)).cumsum(1)
    index = index.gather(1, order)
    by_place = index.argsort(dim=1, stable=True)
    order = by_place.gather(1, rank.gather(1, by_place).argsort(dim=1, stable=True))[:, :k]
    return d2.gather(1, order), index.gather(1, order)
