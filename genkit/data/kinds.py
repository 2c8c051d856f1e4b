r"""Kinds of values: a real number, a level on a line, or a token without order.

* `Real`: any number, inside a range where the data has one. What is stored is what a model sees, or, where the columns
  of the data have units of their own, (v − mean) / std of each column.
* `Quantised`: v in 0 … levels − 1 (a uint8 pixel, an intensity 0 … 16), equal bins of [lo, hi). A model sees the middle
  of the bin,

  .. math:: x = lo + (hi - lo) (v + 1/2) / levels,

  and v + u with u in [0, 1) fills [lo, hi) exactly. Back: v = floor((x − lo) / (hi − lo) · levels), clipped to the
  levels.
* `Categorical`: tokens 0 … V − 1 of a vocabulary and, above them, specials such as the end of a text. No token lies
  between two others, so nothing is scaled: a model sees int64, never float.

A kind owns everything that differs between them. A likelihood of stored values is a mass where values are discrete:
log P(v) = log p(x) + D log_volume, with the volume of a bin for `Quantised` and 1 for `Categorical`, whose `log_prob`
is a mass as it stands; of `Real` values there is the density alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from genkit.errors import DataError

Interval = tuple[float, float]
Modality = Literal["image", "vector", "sequence"]
Drawing = Literal["grid", "scatter", "series", "tokens", "table", "text"]

LARGEST_RANGE = 1e12
END, PAD = "eos", "pad"  # specials: the end of a sequence, and what fills it up to its length
MOST = 2**31  # stored values are numbered within it
SCALED: dict[Modality, Drawing] = {"image": "grid", "vector": "scatter", "sequence": "series"}


class ValueKind(ABC):
    """The kind of a stored value, and the maps between stored values and model values.

    Attributes:
        name: In words and in JSON.
        range: (lo, hi) of the model values, None if unbounded.
        count: How many stored values there are, None for real numbers.
        stored_dtype, model_dtype: Of stored values and of model values.
        has_mass: Whether a stored value has a probability of its own.
        spreads: Whether it is a bin that a density of points can be spread over.
        part: What one value of an example is called where parts are drawn apart.
        log_volume: log of the volume of a stored value's bin, per dimension; 0 where it has none.
        label_names: Names of the labels 0, 1, … where the values themselves tell the label; else ().
        label_counts: Their numbers among the training data.
    """

    name: ClassVar[str]
    range: Interval | None = None
    count: int | None = None
    stored_dtype: torch.dtype = torch.float32
    model_dtype: torch.dtype = torch.float32
    has_mass: ClassVar[bool] = False
    spreads: ClassVar[bool] = False
    log_volume: float = 0.0
    part: ClassVar[str] = "pixel"

    @property
    def label_names(self) -> tuple[str, ...]:
        return ()

    @property
    def label_counts(self) -> tuple[int, ...]:
        return ()

    @abstractmethod
    def to_model(self, v: Tensor) -> Tensor:
        """Stored values, channels first (B, *shape), to model values of the same shape."""

    @abstractmethod
    def to_stored(self, x: Tensor) -> Tensor:
        """Model values (B, *shape) to the stored ones nearest to them, channels first."""

    @abstractmethod
    def nearest(self, v: Tensor) -> Tensor:
        """Real numbers on the scale of stored values (n, *shape) to stored values."""

    @abstractmethod
    def coordinates(self, v: Tensor) -> Tensor:
        """Stored values (B, *shape) as points (B, *shape, …) float64 whose distances mean something."""

    @abstractmethod
    def invalid(self, v: Tensor) -> Tensor:
        """Bool, of the shape of v: which are no stored values at all."""

    def centre(self, x: Tensor) -> Tensor:
        """Any model values (B, *shape) to those of what would be stored of them; the same again changes nothing."""
        return x

    def labelled(self, v: Tensor, y: Tensor) -> Tensor:
        """Stored values (B, *shape) made to tell the labels y (B,) that they were drawn for, where values tell any."""
        return v

    def clip(self, x: Tensor) -> Tensor:
        """Model values (B, *shape) clipped into the range; unbounded ones come back as they are."""
        return x if self.range is None else x.clamp(*self.range)

    def squash(self, out: Tensor) -> Tensor:
        """Any numbers (B, *shape) through a tanh into the range; unbounded data is left alone."""
        if self.range is None:
            return out
        lo, hi = self.range
        return (lo + hi) / 2 + (hi - lo - self.margin) / 2 * torch.tanh(out)

    @property
    def margin(self) -> float:
        """Difference between the width of the range and that of the stored values."""
        return 0.0

    @property
    def ends(self) -> Interval | None:
        """The smallest and the largest model value of what is stored, None if unbounded."""
        return None if self.range is None else (self.range[0] + self.margin / 2, self.range[1] - self.margin / 2)

    @property
    def span(self) -> float | None:
        """The distance of the smallest from the largest stored value in model units, None if unbounded."""
        return None if self.range is None else self.range[1] - self.range[0]

    def dequantise(self, x: Tensor, u: Tensor) -> Tensor:
        """Model values x and noise u in [0, 1), same shape, to points that fill the values' bins, if there are any."""
        return x

    def distances(self, v: Tensor, w: Tensor) -> Tensor:
        """(n, m) float64 between stored values (n, *shape) and (m, *shape): Euclidean, of `coordinates`."""
        one, other = (self.coordinates(values).flatten(1) for values in (v, w))
        return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")

    @abstractmethod
    def check_dtype(self, v: Tensor) -> None:
        """Raises DataError where values of this type are none that are stored."""

    def drawing(self, modality: Modality) -> Drawing:
        """The plot of such data: a grid, a scatter plot, series, rows of tokens, text, or a table's marginals."""
        return SCALED[modality]

    def groups(self, dim: int) -> tuple[int, ...]:
        """The numbers of values, D in all, that belong together where an example is drawn in parts: one each."""
        return (1,) * dim

    @property
    @abstractmethod
    def words(self) -> str:
        """The stored values in words, for a message: "integers in 0 … 16"."""

    @property
    def described(self) -> str:
        """A clause that follows a shape: " with 17 levels"; "" for real numbers without a range."""
        return "" if self.range is None else f" in {self.range[0]:g} … {self.range[1]:g}"

    def to_json(self) -> dict[str, Any]:
        """Entries of a dataset's specification besides range and levels."""
        return {}


@dataclass(frozen=True)
class Real(ValueKind):
    """Real numbers, stored as they are.

    Attributes:
        range: (lo, hi) of model values, None if unbounded.
        mean, std: Of the D values of an example, where a model sees (v − mean) / std; () where it sees v.

    Raises:
        DataError: the range is empty or not finite, or mean and std are not D finite numbers each, std > 0.
    """

    range: Interval | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    name: ClassVar[str] = "real"

    def __post_init__(self) -> None:
        _check_range(self.range)
        right = len(self.mean) == len(self.std) and all(
            type(m) is float and type(s) is float and math.isfinite(m) and 0 < s < math.inf
            for m, s in zip(self.mean, self.std, strict=False)
        )
        if not right:
            raise DataError("mean and std of real data are one finite number for each value, std above 0")

    @property
    def log_volume(self) -> float:  # type: ignore[override]
        """−mean log std: with it, a density of model values is one of stored values."""
        return -math.fsum(map(math.log, self.std)) / len(self.std) if self.std else 0.0

    def to_model(self, v: Tensor) -> Tensor:
        return self._standardised(v).to(torch.float32)

    def to_stored(self, x: Tensor) -> Tensor:
        """In their own units: float32, or float64 where they are so."""
        if not self.std:
            return x if x.dtype == torch.float64 else x.to(torch.float32)
        v = x.to(torch.float64) * _like(self.std, x) + _like(self.mean, x)
        return v if x.dtype == torch.float64 else v.to(torch.float32)

    def nearest(self, v: Tensor) -> Tensor:
        return v.to(torch.float32)

    def coordinates(self, v: Tensor) -> Tensor:
        """As a model sees them."""
        return self._standardised(v).to(torch.float64)

    def invalid(self, v: Tensor) -> Tensor:
        return ~torch.isfinite(v)

    def check_dtype(self, v: Tensor) -> None:
        if not v.is_floating_point():
            raise DataError(f"stored values of this data are float, not {dtype_name(v)}: convert them with v.float()")

    def _standardised(self, v: Tensor) -> Tensor:
        return (v.to(torch.float64) - _like(self.mean, v)) / _like(self.std, v) if self.std else v

    @property
    def words(self) -> str:
        return "float32"

    def to_json(self) -> dict[str, Any]:
        if not self.std:
            return {}
        return {"kind": {"name": self.name, "mean": list(self.mean), "std": list(self.std)}}


@dataclass(frozen=True)
class Quantised(ValueKind):
    """Equal bins of a range, stored by their numbers.

    Attributes:
        levels: How many.
        range: (lo, hi), which they fill.

    Raises:
        DataError: no levels, or an empty range.
    """

    levels: int
    range: Interval = (-1.0, 1.0)

    name: ClassVar[str] = "quantised"
    has_mass: ClassVar[bool] = True
    spreads: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_count("levels", self.levels)
        _check_range(self.range)

    @property
    def count(self) -> int:  # type: ignore[override]
        return self.levels

    @property
    def stored_dtype(self) -> torch.dtype:  # type: ignore[override]
        return torch.uint8 if self.levels <= 256 else torch.int64

    @property
    def bin_width(self) -> float:
        """(hi − lo) / levels, in model units."""
        lo, hi = self.range
        return (hi - lo) / self.levels

    @property
    def log_volume(self) -> float:  # type: ignore[override]
        return math.log(self.bin_width)

    @property
    def margin(self) -> float:
        return self.bin_width

    @property
    def span(self) -> float:
        return (self.levels - 1) * self.bin_width

    def to_model(self, v: Tensor) -> Tensor:
        """The centres of the bins, float32."""
        return self.range[0] + self.bin_width * (v.to(torch.float32) + 0.5)

    def to_stored(self, x: Tensor) -> Tensor:
        """The numbers of the bins, uint8 (int64 above 256 levels); what lies outside is clipped into them."""
        v = torch.floor((x.to(torch.float64) - self.range[0]) / self.bin_width).clamp_(0, self.levels - 1)
        return v.to(self.stored_dtype)

    def nearest(self, v: Tensor) -> Tensor:
        return v.round().clamp(0, self.levels - 1).to(self.stored_dtype)

    def coordinates(self, v: Tensor) -> Tensor:
        """v / (levels − 1) in [0, 1]."""
        return v.to(torch.float64) / (self.levels - 1)

    def invalid(self, v: Tensor) -> Tensor:
        return _outside(v, self.levels)

    def centre(self, x: Tensor) -> Tensor:
        return self.to_model(self.to_stored(x)).to(x)

    def dequantise(self, x: Tensor, u: Tensor) -> Tensor:
        """Theis et al. 2015, 1511.01844."""
        return x + self.bin_width * (u - 0.5)

    def check_dtype(self, v: Tensor) -> None:
        if v.is_floating_point():
            raise DataError(
                f"stored values of this data are {self.words}, not {dtype_name(v)}: give them unscaled "
                "(spec.unscale(x) of model values x)"
            )

    @property
    def words(self) -> str:
        return f"integers in 0 … {self.levels - 1}"

    @property
    def described(self) -> str:
        return f" with {self.levels} levels{super().described}"


@dataclass(frozen=True)
class Categorical(ValueKind):
    """Tokens 0 … vocabulary − 1, and specials above them, always int64.

    Attributes:
        vocabulary: V, how many ordinary tokens there are.
        specials: Names of the tokens V, V + 1, …: ("eos", "pad") are V and V + 1.
        symbols: A sign for each ordinary token, for pictures; () where there is none.

    Raises:
        DataError: no tokens, the same special twice, or another number of symbols.
    """

    vocabulary: int
    specials: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()

    name: ClassVar[str] = "categorical"
    has_mass: ClassVar[bool] = True
    model_dtype: ClassVar[torch.dtype] = torch.int64  # type: ignore[misc]
    stored_dtype: ClassVar[torch.dtype] = torch.int64  # type: ignore[misc]

    def __post_init__(self) -> None:
        _check_count("vocabulary", self.vocabulary)
        signs = (*self.specials, *self.symbols)
        if not all(type(sign) is str and 0 < len(sign) <= 64 for sign in signs) or len(self.specials) > 64:
            raise DataError("specials and symbols of tokens are texts of 1 … 64 characters, and specials at most 64")
        if len(set(self.specials)) < len(self.specials):
            raise DataError(f"specials {', '.join(self.specials)}: a name is given twice")
        if self.symbols and len(self.symbols) != self.vocabulary:
            raise DataError(f"{len(self.symbols)} symbols for {self.vocabulary} tokens: give one for each, or none")

    @property
    def count(self) -> int:  # type: ignore[override]
        return self.vocabulary + len(self.specials)

    def special(self, name: str) -> int:
        """The token of a special. Raises DataError where there is none of this name."""
        if name not in self.specials:
            raise DataError(f"this data has no token {name}; its specials are {', '.join(self.specials) or 'none'}")
        return self.vocabulary + self.specials.index(name)

    def symbol(self, token: int) -> str:
        """The sign of a token: its symbol, its special's name, or its number."""
        if token >= self.vocabulary:
            return self.specials[token - self.vocabulary]
        return self.symbols[token] if self.symbols else str(token)

    def to_model(self, v: Tensor) -> Tensor:
        return v.to(torch.int64)

    def to_stored(self, x: Tensor) -> Tensor:
        """The tokens themselves, int64. Raises DataError for what is none."""
        self.check_dtype(x)
        if len(x) and bool(self.invalid(x).any()):
            raise DataError(f"tokens in {int(x.min())} … {int(x.max())}: this data has {self.words}")
        return x.to(torch.int64)

    def nearest(self, v: Tensor) -> Tensor:
        raise DataError("tokens are integers, these are real numbers")

    def coordinates(self, v: Tensor) -> Tensor:
        """One-hot, divided by √2: the squared distance of two sequences is the number of tokens that differ."""
        return F.one_hot(v.to(torch.int64), self.count).to(torch.float64) / math.sqrt(2.0)

    def invalid(self, v: Tensor) -> Tensor:
        return _outside(v, self.count)

    def distances(self, v: Tensor, w: Tensor) -> Tensor:
        """The number of tokens that differ (Hamming)."""
        return torch.cdist(v.flatten(1).to(torch.float64), w.flatten(1).to(torch.float64), p=0.0)

    def check_dtype(self, v: Tensor) -> None:
        if v.is_floating_point():
            raise DataError(f"values of this data are {self.words}, not {dtype_name(v)}: keep them int64, unscaled")

    def drawing(self, modality: Modality) -> Drawing:
        return "tokens"

    @property
    def words(self) -> str:
        return f"tokens 0 … {self.count - 1}"

    @property
    def described(self) -> str:
        return f" with {self.words}"

    def to_json(self) -> dict[str, Any]:
        node: dict[str, Any] = {"name": self.name, "vocabulary": self.vocabulary, "specials": list(self.specials)}
        return {"kind": node | ({"symbols": list(self.symbols)} if self.symbols else {})}


Kind = Real | Quantised | Categorical
KINDS: tuple[type[ValueKind], ...] = (Real, Quantised, Categorical)
SCALAR: tuple[type[ValueKind], ...] = (Real, Quantised)  # on a line: what networks of real numbers take


def kind_of(value_range: Interval | None, levels: int | None) -> Kind:
    """The kind of values with so many levels in a range; levels without a range are tokens."""
    if levels is None:
        return Real(value_range)
    return Categorical(levels) if value_range is None else Quantised(levels, value_range)


def kind_from_json(node: dict[str, Any]) -> Kind:
    """The kind of the "kind" entry of a specification. Raises what its reading raises, or DataError."""
    if node["name"] == Real.name:
        return Real(None, tuple(node["mean"]), tuple(node["std"]))
    if node["name"] != Categorical.name:
        raise ValueError(f"no kind of values: {node['name']}")
    return Categorical(node["vocabulary"], tuple(node["specials"]), tuple(node.get("symbols", ())))


def _like(values: tuple[float, ...], v: Tensor) -> Tensor:
    """(*shape) float64 of the values of one example of v (B, *shape)."""
    return torch.tensor(values, dtype=torch.float64, device=v.device).reshape(v.shape[1:])


def dtype_name(x: Tensor | torch.dtype) -> str:
    """ "float32"."""
    return str(x if isinstance(x, torch.dtype) else x.dtype).removeprefix("torch.")


def _outside(v: Tensor, count: int) -> Tensor:
    """Mask of the values that are not integers in 0 … count − 1; count may exceed the range of v's type."""
    if v.is_floating_point():
        return torch.ones_like(v, dtype=torch.bool)
    if v.dtype == torch.uint8 and count > 255:  # the common case of images, which are many
        return torch.zeros_like(v, dtype=torch.bool)
    return (v < 0) | (v.to(torch.int64) >= count)


def _check_count(name: str, count: Any) -> None:
    if type(count) is not int or not 0 < count < MOST:
        raise DataError(f"{name}={str(count)[:40]}: a number of stored values is a whole number, 1 or more")


def _check_range(interval: Any) -> None:
    if interval is None:
        return
    lo, hi = interval
    if not -LARGEST_RANGE < lo < hi < LARGEST_RANGE:
        raise DataError(f"a range from {str(lo)[:40]} to {str(hi)[:40]}: it is (lo, hi) with lo < hi, both finite")
