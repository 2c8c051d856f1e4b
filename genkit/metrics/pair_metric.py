"""Metrics of two sets of rows, real and fake, that are collected batch by batch.

The batches are kept as they came, in float64: a batch that several metrics were given is one tensor, held once. A set
of n rows of D columns takes 8 n D bytes: 10 MB at n = 10,000, D = 128; 0.8 GB at n = 50,000, D = 2,048 (a Fréchet
distance keeps less, see `folding.py`). Sets of two processes merge by concatenation. When a set is first read it is
joined and put into canonical order, once for all metrics that were given its batches: so nothing depends on how the
data was cut or in which order it came.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary, ref

import torch
from torch import Tensor

from genkit.data.kinds import KINDS, Modality, ValueKind
from genkit.data.order import canonical_order
from genkit.errors import ConfigError, NumericalError
from genkit.metrics.base import Probe, ProbeMetric
from genkit.metrics.distances import as_rows

SAME = 1e-6  # of the spread of real data: what a network's rounding may make of equal samples in different batches

T = TypeVar("T")


class SortedRows:
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


_SORTED: WeakValueDictionary[tuple[int, ...], SortedRows] = WeakValueDictionary()


def sorted_rows(pieces: Sequence[Tensor]) -> SortedRows:
    """The rows of the batches in canonical order, the same object for all who ask while one of them holds it."""
    key = tuple(map(id, pieces))
    found = _SORTED.get(key)
    if found is None or not found.of(pieces):
        found = _SORTED[key] = SortedRows(pieces)
    return found


class PairMetric(ProbeMetric, ABC):
    """A metric of two sets of rows.

    Class attributes:
        sources: The quantities of the probe that fill the real and the fake set.
        least: How many rows each set must hold.
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
        self._sorted: dict[str, SortedRows] = {}  # by the name of the set

    def update(self, probe: Probe) -> None:
        """Keep the rows of one batch, of the sides that it has."""
        for batches, source in zip((self.real, self.fake), self.sources, strict=True):
            if source in probe:
                batches.append(as_rows(probe[source]))

    def warnings(self, value: float, floor: float | None) -> Iterator[str]:
        real, fake = self.rows()
        if all_same(fake, real):
            yield "all samples are the same"

    def rows(self) -> tuple[Tensor, Tensor]:
        """The real (m, D) and the fake (n, D) rows, each in canonical order.

        Raises:
            ConfigError: fewer than `least` rows on a side, or different numbers of columns.
            NumericalError: a row is not finite.
        """
        real, fake = (self._rows_of(name) for name in ("real", "fake"))
        self._check_columns(real, fake)
        return real, fake

    def pieces(self, name: str) -> list[Tensor]:
        """The batches of the set `name`; after a reduction across processes it is one tensor."""
        batches = getattr(self, name)
        return [batches] if isinstance(batches, Tensor) else batches

    def once(self, make: Callable[[Tensor, Tensor], T]) -> T:
        """make(real, fake), remembered until a set changes: the value and its interval share the costly part."""
        held = self.rows()
        if self._memo is None or not _same(self._memo[0], held):
            self._memo = (held, make(*held))
        return self._memo[1]

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _check_columns(self, real: Tensor, fake: Tensor) -> None:
        if real.shape[1] != fake.shape[1]:
            raise ConfigError(f"{self._name}: real rows have {real.shape[1]:,} columns and fake rows {fake.shape[1]:,}")

    def _rows_of(self, name: str) -> Tensor:
        """A set, checked and in canonical order; it takes the place of the batches, which nobody needs any longer."""
        pieces, known = self.pieces(name), self._sorted.get(name)
        if known is None or len(pieces) != 1 or pieces[0] is not known.rows:
            known = self._sorted[name] = sorted_rows(self._checked(name))
            setattr(self, name, [known.rows])
        return known.rows

    def _checked(self, name: str) -> list[Tensor]:
        pieces = self._enough(name)
        if not all(bool(torch.isfinite(piece.sum())) for piece in pieces):  # a sum overflows where a value nearly does
            finite = torch.isfinite(torch.cat(pieces)).all(1)
            if not finite.all():
                bad = int((~finite).nonzero()[0])
                raise NumericalError(
                    f"{self._name}: {name} row {bad} is not finite: the samples or the features diverged"
                )
        return pieces

    def _enough(self, name: str) -> list[Tensor]:
        pieces = self.pieces(name)
        n = sum(map(len, pieces))
        if n < self.least:
            advice = "raise n=" if name == "fake" else "hold out more"
            raise ConfigError(f"{self._name} needs at least {self.least:,} {name} samples, got {n:,}: {advice}")
        return pieces


def all_same(rows: Tensor, beside: Tensor) -> bool:
    """Tell whether all rows (n, D) are one and the same, next to how far other rows (m, D) are from each other."""
    spread, wide = (float((values - values[:1]).abs().max()) for values in (rows, beside))
    return spread <= SAME * wide


def _same(left: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    return all(a is b for a, b in zip(left, right, strict=True))
