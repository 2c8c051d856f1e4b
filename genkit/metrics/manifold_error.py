r"""The variance of scores that count points in nearest-neighbour balls.

Such a score s varies with the points that are counted and with the balls. Counted points are independent given the
balls: p (1 − p) over their number. The set that the balls stand on is cut into two random halves, which are independent
of one another; each half makes balls of its own, out to its own k-th neighbours, and has a score. So

.. math:: \operatorname{var} s_{m/2} = \tfrac12 \overline{(s_1 - s_2)^2},

a mean over SPLITS splits, is the variance at half of the size, and half of it that at the full size; of a share it is
first divided by p (1 − p), since a share near 1 varies less. Where points only fill balls, as the samples do for
coverage, their halves fill the same balls.

A jackknife does not serve: whether a ball of five expected points is empty depends on all of them at once, and leaving
out one group at a time counts such a joint effect once for each: the variance came out two to four times too large.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genkit.metrics.distances import as_close, closer, comparable_distances, tiles
from genkit.noise import generator_of

SPLITS = 30
COUNTED = 2000  # points, or balls, that a score is averaged over here


class Halves(NamedTuple):
    """Scores of either half for each split, (SPLITS, 2) float64.

    Attributes:
        points_held: Share of points in some closed ball of the half.
        density: Open balls of the half that hold a point, mean over the points, over k.
        balls_filled: Share of the half's closed balls that hold a point.
    """

    points_held: Tensor
    density: Tensor
    balls_filled: Tensor


def halves_of_balls(centres: Tensor, points: Tensor, k: int) -> Halves:
    """Score at most COUNTED of the points (n, D) in balls to the k-th neighbour among half of the centres (m, D)."""
    chosen = random_halves(centres)
    radii = _radii_in_halves(centres, chosen, k)
    points = points[_order(points)[:COUNTED]]
    n, m = len(points), len(centres)
    held, filled = torch.zeros(SPLITS, 2, n, dtype=torch.bool), torch.zeros(SPLITS, m, dtype=torch.bool)
    opened = torch.zeros(SPLITS, 2, dtype=torch.float64)
    for part, tile in tiles(n, m):
        d2 = comparable_distances(points[part], centres[tile])
        for split in range(SPLITS):
            closed, inside = as_close(d2, radii[split, tile]), closer(d2, radii[split, tile])
            filled[split, tile] |= closed.any(0)
            per_ball = inside.sum(0)
            for half in (0, 1):
                own = chosen[split, tile] == bool(half)
                held[split, half, part] |= closed[:, own].any(1)
                opened[split, half] += per_ball[own].sum()
    owned = torch.stack([~chosen, chosen], 1).to(torch.float64)
    share = (filled[:, None] * owned).sum(2) / owned.sum(2)
    return Halves(held.to(torch.float64).mean(2), opened / (k * n), share)


def halves_of_points(centres: Tensor, radii2: Tensor, points: Tensor) -> Tensor:
    """(SPLITS, 2): the share of at most COUNTED of the closed balls that each half of the points (n, D) fills."""
    some = _order(centres)[:COUNTED]
    centres, radii2, chosen = centres[some], radii2[some], random_halves(points).to(torch.float32).T
    counts = torch.zeros(len(centres), 2, SPLITS)
    for part, tile in tiles(len(points), len(centres)):
        closed = as_close(comparable_distances(points[part], centres[tile]), radii2[tile]).to(torch.float32).T
        counts[tile, 0] += closed @ (1.0 - chosen[part])
        counts[tile, 1] += closed @ chosen[part]
    return (counts > 0).to(torch.float64).mean(0).T


def random_halves(rows: Tensor) -> Tensor:
    """(SPLITS, n) bool: random halves of n rows."""
    generator = generator_of(0, "halves", len(rows))
    return torch.stack([torch.randperm(len(rows), generator=generator) % 2 == 0 for _ in range(SPLITS)])


def share_variance(halves: Tensor, share: float) -> float:
    """The variance of a share at full size, from the shares (SPLITS, 2) of its halves."""
    mean = float(halves.mean())
    spread = mean * (1.0 - mean)
    return share * (1.0 - share) * mean_variance(halves) / spread if spread > 0.0 else 0.0


def given_variance(halves: Tensor, share: float) -> float:
    """The variance of a share of given points, from the shares (SPLITS, 2) for halves of the other side.

    Between what p (1 − p) says and what the halves' own variance says, which lie below and above what was measured.
    """
    return (share_variance(halves, share) * mean_variance(halves)) ** 0.5


def mean_variance(halves: Tensor) -> float:
    """The variance of a mean at full size, from the means (SPLITS, 2) of its halves."""
    return float((halves[:, 0] - halves[:, 1]).square().mean()) / 4.0


def _order(rows: Tensor) -> Tensor:
    """(n,) int64: a random order of n rows, which are in canonical order before."""
    return torch.randperm(len(rows), generator=generator_of(0, "order", len(rows)))


def _radii_in_halves(centres: Tensor, chosen: Tensor, k: int) -> Tensor:
    """(SPLITS, m): the squared distance of each centre to its k-th nearest in its own half.

    Looked for among its 3 k + 10 nearest, which hold fewer than k of its half once in thousands of times.
    """
    wanted = min(3 * k + 10, len(centres) - 1)
    d2, which = _neighbours(centres, wanted)
    radii = d2.new_empty(SPLITS, len(centres))
    for split in range(SPLITS):
        same = chosen[split][which] == chosen[split][:, None]
        place = (same.cumsum(1) < k).sum(1).clamp(max=wanted - 1)
        radii[split] = d2.gather(1, place[:, None])[:, 0]
    return radii


def _neighbours(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Squared distances (n, count) to the nearest other rows, nearest first, and which they are; ties in any order."""
    n = len(rows)
    found, which = rows.new_full((n, count), torch.inf), torch.zeros(n, count, dtype=torch.int64)
    for part, tile in tiles(n, n):
        d2 = comparable_distances(rows[part], rows[tile])
        if part == tile:
            d2.fill_diagonal_(torch.inf)
        near = d2.topk(min(count, d2.shape[1]), largest=False)
        values, index = torch.cat([found[part], near[0]], 1), torch.cat([which[part], near[1] + tile.start], 1)
        found[part], place = values.topk(count, largest=False)
        which[part] = index.gather(1, place)
    return found, which
