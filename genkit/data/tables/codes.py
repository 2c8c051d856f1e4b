r"""The code of a column: its cells as coordinates of a vector, and coordinates back to the nearest cell.

A cell is a float64 (see `genkit.data.tables.forms`), NaN where it is missing.

* `ConstantCode`: one value or none, no coordinate at all.
* `NominalCode`: K levels without an order, one-hot: K coordinates, of which the largest tells the level.
* `OrderedCode`: K values on a line, one coordinate. Value k has the share p_k of the training rows and so the interval
  (F_{k−1}, F_k) of the distribution function; its coordinate is the middle of that interval under a standard normal,

  .. math:: z_k = \Phi^{-1}\big((F_{k-1} + F_k) / 2\big),

  and any point of the interval (Φ⁻¹(F_{k−1}), Φ⁻¹(F_k)) means value k. A standard normal coordinate has every value in
  its share, so a value that half of the rows have bends nothing.
* `ContinuousCode`: many values, one coordinate: the quantile transform to N(0, 1) through knots at quantiles of
  the training rows, linear between them. It ends at the smallest and the largest value of the table.
* `SwitchedCode`: a one-hot switch, then the coordinate of a number. The switch says that there is a number, that the
  cell is missing, or that it is one of a few values that many rows share and that a continuous map could not hold.
  Where there is no number its coordinate is 0 and means nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from genkit.errors import DataError

Floats = NDArray[np.float64]

MOST_LEVELS = 1024
SMOOTHED = 0.5  # rows that a value is counted as where no training row has it


class Code(ABC):
    """Cells (n,) to coordinates (n, width) and back; plain, frozen, JSON."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def width(self) -> int:
        """The number of coordinates."""

    @abstractmethod
    def encode(self, cells: Floats) -> Floats:
        """(n,) cells that the column can have to (n, width)."""

    @abstractmethod
    def decode(self, x: Floats) -> Floats:
        """Any coordinates (n, width) to cells (n,) that the column can have."""

    @abstractmethod
    def blocks(self) -> Iterator[CoordinateBlock]:
        """The coordinates by what they are."""

    @abstractmethod
    def accepts(self, cells: Floats) -> NDArray[np.bool_]:
        """(n,) which cells the column can have."""

    @abstractmethod
    def quantiles(self, p: Floats) -> Floats:
        """(n,) cells at places p in (0, 1) of the column's distribution in the training rows."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain values that `code_of` reads."""


@dataclass(frozen=True)
class CoordinateBlock:
    """Coordinates that belong together.

    Attributes:
        kind: "one-hot", "ordered" or "continuous".
        width: How many.
        edges: Of an ordered coordinate: K − 1 borders between its values.
        switched: Whether it means nothing unless the first coordinate of the block before it is the largest there.
    """

    kind: str
    width: int
    edges: tuple[float, ...] = ()
    switched: bool = False


@dataclass(frozen=True)
class ConstantCode(Code):
    """One value in every row, NaN for a column that is missing altogether."""

    value: float | None

    name: ClassVar[str] = "constant"

    @property
    def width(self) -> int:
        return 0

    @property
    def _cell(self) -> float:
        return np.nan if self.value is None else self.value

    def encode(self, cells: Floats) -> Floats:
        return np.empty((len(cells), 0))

    def decode(self, x: Floats) -> Floats:
        return np.full(len(x), self._cell)

    def blocks(self) -> Iterator[CoordinateBlock]:
        return iter(())

    def accepts(self, cells: Floats) -> NDArray[np.bool_]:
        return (cells == self._cell) | (np.isnan(cells) & np.isnan(self._cell))

    def quantiles(self, p: Floats) -> Floats:
        return np.full(len(p), self._cell)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value}


@dataclass(frozen=True)
class NominalCode(Code):
    """Cells 0 … K − 1, one-hot; a missing cell is one level more, the last.

    Attributes:
        counts: Training rows of each level.
        missing: Whether the last one stands for missing cells.
    """

    counts: tuple[int, ...]
    missing: bool = False

    name: ClassVar[str] = "nominal"

    def __post_init__(self) -> None:
        _check_counts(self.counts)

    @property
    def width(self) -> int:
        return len(self.counts)

    def encode(self, cells: Floats) -> Floats:
        return np.eye(self.width)[np.where(np.isnan(cells), self.width - 1, cells).astype(np.int64)]

    def decode(self, x: Floats) -> Floats:
        level = x.argmax(1).astype(np.float64)
        return np.where(level == self.width - 1, np.nan, level) if self.missing else level

    def blocks(self) -> Iterator[CoordinateBlock]:
        yield CoordinateBlock("one-hot", self.width)

    def accepts(self, cells: Floats) -> NDArray[np.bool_]:
        return ((cells >= 0) & (cells < self.width - self.missing)) | (np.isnan(cells) & self.missing)

    def quantiles(self, p: Floats) -> Floats:
        return self.decode(np.eye(self.width)[_places(p, self.counts)[0]])

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "counts": list(self.counts), "missing": self.missing}


@dataclass(frozen=True)
class OrderedCode(Code):
    """Cells of a list of values on a line.

    Attributes:
        values: Two or more, rising.
        counts: Training rows of each.
    """

    values: tuple[float, ...]
    counts: tuple[int, ...]

    name: ClassVar[str] = "ordered"

    def __post_init__(self) -> None:
        _check_counts(self.counts)
        if len(self.values) != len(self.counts) or not _rising(self.values):
            raise DataError("an ordered column needs rising values and a count for each")

    @property
    def width(self) -> int:
        return 1

    @cached_property
    def _cumulative(self) -> Floats:
        """F_0 = 0 … F_K = 1."""
        shares = np.maximum(np.array(self.counts, dtype=np.float64), SMOOTHED)
        return np.concatenate([[0.0], np.cumsum(shares) / shares.sum()])

    @cached_property
    def edges(self) -> Floats:
        """(K − 1,) borders between the values."""
        return np.asarray(ndtri(self._cumulative[1:-1]))

    @cached_property
    def middles(self) -> Floats:
        """(K,) the coordinates."""
        return np.asarray(ndtri((self._cumulative[1:] + self._cumulative[:-1]) / 2))

    def encode(self, cells: Floats) -> Floats:
        return self.middles[np.searchsorted(np.array(self.values), cells)][:, None]

    def decode(self, x: Floats) -> Floats:
        return np.array(self.values)[np.searchsorted(self.edges, x[:, 0])]

    def blocks(self) -> Iterator[CoordinateBlock]:
        yield CoordinateBlock("ordered", 1, tuple(self.edges.tolist()))

    def accepts(self, cells: Floats) -> NDArray[np.bool_]:
        return np.isin(cells, self.values)

    def quantiles(self, p: Floats) -> Floats:
        return self.decode(ndtri(p)[:, None])

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "values": list(self.values), "counts": list(self.counts)}


@dataclass(frozen=True)
class ContinuousCode(Code):
    """Cells of many values.

    Attributes:
        values, scores: The knots: values and their coordinates, both rising.
    """

    values: tuple[float, ...]
    scores: tuple[float, ...]

    name: ClassVar[str] = "continuous"

    def __post_init__(self) -> None:
        if len(self.values) != len(self.scores) or not (_rising(self.values) and _rising(self.scores)):
            raise DataError("a continuous column needs rising knots")

    @property
    def width(self) -> int:
        return 1

    def encode(self, cells: Floats) -> Floats:
        return np.interp(cells, self.values, self.scores)[:, None]

    def decode(self, x: Floats) -> Floats:
        return np.interp(x[:, 0], self.scores, self.values)

    def blocks(self) -> Iterator[CoordinateBlock]:
        yield CoordinateBlock("continuous", 1)

    def accepts(self, cells: Floats) -> NDArray[np.bool_]:
        """Numbers beyond the ends come back as these."""
        return np.isfinite(cells)

    def quantiles(self, p: Floats) -> Floats:
        return self.decode(ndtri(p)[:, None])

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "values": list(self.values), "scores": list(self.scores)}


@dataclass(frozen=True)
class SwitchedCode(Code):
    """A switch between a number, nothing, and values of their own, and the number.

    Attributes:
        number: The code of the number; a `ConstantCode`, an `OrderedCode` or a `ContinuousCode` one.
        counts: Training rows that have a number, that are missing (where `missing`), and that have each of the spikes.
        missing: Whether cells may be missing.
        spikes: Values of their own, rising.
    """

    number: ConstantCode | OrderedCode | ContinuousCode
    counts: tuple[int, ...]
    missing: bool
    spikes: tuple[float, ...] = ()

    name: ClassVar[str] = "switched"

    def __post_init__(self) -> None:
        _check_counts(self.counts)
        if len(self.counts) != 1 + self.missing + len(self.spikes) or not _rising(self.spikes):
            raise DataError("a switched column needs a count for each place of its switch")

    @property
    def places(self) -> int:
        """Of the switch."""
        return len(self.counts)

    @property
    def width(self) -> int:
        return self.places + self.number.width

    @property
    def others(self) -> Floats:
        """The cells of all places but the first."""
        return np.array([*([np.nan] if self.missing else []), *self.spikes], dtype=np.float64)

    def place(self, cells: Floats) -> NDArray[np.int64]:
        """(n,) the place of the switch for each cell."""
        place = np.zeros(len(cells), dtype=np.int64)
        for i, other in enumerate(self.others, 1):
            place[np.isnan(cells) if np.isnan(other) else cells == other] = i
        return place

    def encode(self, cells: Floats) -> Floats:
        place = self.place(cells)
        coordinates = np.zeros((len(cells), self.number.width))
        coordinates[place == 0] = self.number.encode(cells[place == 0])
        return np.concatenate([np.eye(self.places)[place], coordinates], 1)

    def decode(self, x: Floats) -> Floats:
        place = x[:, : self.places].argmax(1)
        return np.where(place == 0, self.number.decode(x[:, self.places :]), np.array([0.0, *self.others])[place])

    def blocks(self) -> Iterator[CoordinateBlock]:
        yield CoordinateBlock("one-hot", self.places)
        for block in self.number.blocks():
            yield CoordinateBlock(block.kind, block.width, block.edges, switched=True)

    def accepts(self, cells: Floats) -> NDArray[np.bool_]:
        return (self.place(cells) > 0) | self.number.accepts(cells)

    def quantiles(self, p: Floats) -> Floats:
        place, within = _places(p, self.counts)
        return np.where(place == 0, self.number.quantiles(within), np.array([0.0, *self.others])[place])

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "number": self.number.to_json(),
            "counts": list(self.counts),
            "missing": self.missing,
            "spikes": list(self.spikes),
        }


def code_of(node: dict[str, Any]) -> Code:
    """The code that `to_json` described. Raises what its reading raises, or DataError."""
    match node["name"]:
        case NominalCode.name:
            return NominalCode(tuple(node["counts"]), bool(node["missing"]))
        case SwitchedCode.name:
            number = code_of(node["number"])
            if not isinstance(number, ConstantCode | OrderedCode | ContinuousCode):
                raise ValueError("no code of a number")
            return SwitchedCode(number, tuple(node["counts"]), bool(node["missing"]), _floats(node["spikes"]))
        case ConstantCode.name:
            return ConstantCode(None if node["value"] is None else float(node["value"]))
        case OrderedCode.name:
            return OrderedCode(_floats(node["values"]), tuple(node["counts"]))
        case ContinuousCode.name:
            return ContinuousCode(_floats(node["values"]), _floats(node["scores"]))
    raise ValueError("no code of a column")


def _places(p: Floats, counts: Sequence[int]) -> tuple[NDArray[np.int64], Floats]:
    """The level of each p in (0, 1) by the levels' shares, and its place inside the level, in (0, 1)."""
    shares = np.maximum(np.array(counts, dtype=np.float64), SMOOTHED)
    until = np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
    level = np.minimum(np.searchsorted(until, p, side="right") - 1, len(counts) - 1)
    within = (p - until[level]) / (until[level + 1] - until[level])
    return level, np.clip(within, 1e-9, 1 - 1e-9)


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _rising(values: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(values)) and all(np.isfinite(values))


def _check_counts(counts: Sequence[Any]) -> None:
    sound = all(type(count) is int and 0 <= count < 2**53 for count in counts)
    if not (sound and 0 < len(counts) <= MOST_LEVELS + 1):  # missing cells are one more
        raise DataError(f"a column of 1 … {MOST_LEVELS} levels, with the number of rows of each")
