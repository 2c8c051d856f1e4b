"""Two sets of rows, real and fake, that a metric collects batch by batch.

The batches are kept as they came, in float64: a batch that several metrics were given is one tensor, held once. A bank
of n rows of D columns takes 8 n D bytes: 10 MB at n = 10,000, D = 128; 0.8 GB at n = 50,000, D = 2,048. Banks
of two processes merge by concatenation. When a bank is first read it is joined and put into canonical order, once for
all metrics that were given its batches: so nothing depends on how the data was cut or in which order it came.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterator, Sequence
from math import isqrt
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary, ref

import torch
from torch import Tensor

from genkit.data.kinds import KINDS, Modality, ValueKind
from genkit.data.order import canonical_order
from genkit.errors import ConfigError, NumericalError
from genkit.metrics.base import Probe, ProbeMetric

BLOCK_ELEMENTS = 2**20  # 8 MB of float64; a block and its temporaries stay under 60 MB

RIM = 1e-9  # of a squared distance, within which another one is equal to it: rounding splits ties
CANCELLED = 1e-3  # of the squares of two rows, below which the product's error of 1e-13 comes near the rim
FEW = 20  # one in so many pairs is taken one by one; more of them all together
SAME = 1e-6  # of the spread of real data: what a network's rounding may make of equal samples in different batches

T = TypeVar("T")


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


class Sorted:
    """The rows of some batches, joined and in canonical order.

    Attributes:
        rows: (n, D).
    """

    def __init__(self, pieces: Sequence[Tensor]) -> None:
        joined = pieces[0] if len(pieces) == 1 else torch.cat(list(pieces))
        self.rows = joined[canonical_order(joined)]
        self._pieces = [ref(piece) for piece in pieces]

    def of(self, pieces: Sequence[Tensor]) -> bool:
        """Tell whether it was made from these batches, which an address alone does not say."""
        return all(known() is piece for known, piece in zip(self._pieces, pieces, strict=True))


_SORTED: WeakValueDictionary[tuple[int, ...], Sorted] = WeakValueDictionary()


def sorted_rows(pieces: Sequence[Tensor]) -> Sorted:
    """The rows of the batches in canonical order, the same object for all who ask while one of them holds it."""
    key = tuple(map(id, pieces))
    found = _SORTED.get(key)
    if found is None or not found.of(pieces):
        found = _SORTED[key] = Sorted(pieces)
    return found


class PairMetric(ProbeMetric, ABC):
    """A metric of two sets of rows.

    Class attributes:
        sources: The quantities of the probe that fill the real and the fake bank.
        least: How many rows each bank must hold.
    """

    sources: ClassVar[tuple[str, str]] = ("real_features", "fake_features")
    modalities: ClassVar[tuple[Modality, ...]] = ("image", "vector", "sequence")  # the features say the rest
    kinds: ClassVar[tuple[type[ValueKind], ...]] = KINDS
    uses_features: ClassVar[bool] = True
    least: ClassVar[int] = 2

    real: list[Tensor]
    fake: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("real", default=[], dist_reduce_fx="cat")
        self.add_state("fake", default=[], dist_reduce_fx="cat")
        self._memo: tuple[tuple[Tensor, Tensor], Any] | None = None
        self._sorted: dict[str, Sorted] = {}  # by bank

    def update(self, probe: Probe) -> None:
        """Keep the rows of one batch, of the sides that it has."""
        for bank, source in zip((self.real, self.fake), self.sources, strict=True):
            if source in probe:
                bank.append(as_rows(probe[source]))

    def warnings(self, value: float, floor: float | None) -> Iterator[str]:
        real, fake = self.banks()
        if all_same(fake, real):
            yield "all samples are the same"

    def banks(self) -> tuple[Tensor, Tensor]:
        """The real (m, D) and the fake (n, D) rows, each in canonical order.

        Raises:
            ConfigError: fewer than `least` rows on a side, or different numbers of columns.
            NumericalError: a row is not finite.
        """
        real, fake = (self._rows(name) for name in ("real", "fake"))
        if real.shape[1] != fake.shape[1]:
            raise ConfigError(f"{self._name}: real rows have {real.shape[1]:,} columns and fake rows {fake.shape[1]:,}")
        return real, fake

    def pieces(self, name: str) -> list[Tensor]:
        """The batches of the bank `name`; after a reduction across processes it is one tensor."""
        bank = getattr(self, name)
        return [bank] if isinstance(bank, Tensor) else bank

    def once(self, make: Callable[[Tensor, Tensor], T]) -> T:
        """make(real, fake), remembered until a bank changes: the value and its interval share the costly part."""
        held = self.banks()
        if self._memo is None or not _same(self._memo[0], held):
            self._memo = (held, make(*held))
        return self._memo[1]

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _rows(self, name: str) -> Tensor:
        """A bank, checked and in canonical order; it takes the place of the batches, which nobody needs any longer."""
        pieces, known = self.pieces(name), self._sorted.get(name)
        if known is None or len(pieces) != 1 or pieces[0] is not known.rows:
            known = self._sorted[name] = sorted_rows(self._checked(name))
            setattr(self, name, [known.rows])
        return known.rows

    def _checked(self, name: str) -> list[Tensor]:
        pieces = self.pieces(name)
        n = sum(map(len, pieces))
        if n < self.least:
            raise ConfigError(f"{self._name} needs at least {self.least:,} {name} samples, got {n:,}: raise n=")
        if not all(bool(torch.isfinite(piece.sum())) for piece in pieces):  # a sum overflows where a value nearly does
            finite = torch.isfinite(torch.cat(pieces)).all(1)
            if not finite.all():
                bad = int((~finite).nonzero()[0])
                raise NumericalError(
                    f"{self._name}: {name} row {bad} is not finite: the samples or the features diverged"
                )
        return pieces


def all_same(rows: Tensor, beside: Tensor) -> bool:
    """Tell whether all rows (n, D) are one and the same, next to how far other rows (m, D) are from each other."""
    spread, wide = (float((values - values[:1]).abs().max()) for values in (rows, beside))
    return spread <= SAME * wide


def _same(left: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    return all(a is b for a, b in zip(left, right, strict=True))
