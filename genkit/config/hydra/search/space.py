"""The space of a search, in the grammar that Hydra has for sweeps.

    interval(1e-4,1e-1)              a number, uniform between two
    tag(log,interval(1e-4,1e-1))     uniform in its logarithm
    int(interval(1,64))              an integer
    range(16,129,16)                 16, 32, …, 128: the end is not reached, as in Python
    tag(log,range(1,257))            an integer, uniform in its logarithm
    choice(a,b), a,b, glob(*)        one of these

A dimension is a key with such values. Trials are written as overrides again, so a job of a search is a plain command
line.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from genkit.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

LOG = "log"  # the tag
ENDS = 2  # values of a number that are tried before a search begins
Value = str | int | float


class Dimension(ABC):
    """The values that one key may take."""

    @abstractmethod
    def values(self) -> Sequence[Value] | None:
        """All of them in their order, None where they are a continuum."""

    @abstractmethod
    def ends(self) -> Sequence[Value]:
        """The values that stand for all others when a search is checked."""

    @abstractmethod
    def distribution(self) -> BaseDistribution:
        """The same in words of optuna."""

    @property
    def is_number(self) -> bool:
        """Tell whether its values have an order and a distance."""
        return True

    def record(self) -> dict[str, Any]:
        """The dimension as JSON, for a study to remember."""
        return {"kind": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class WordDimension(Dimension):
    """One of several words, as Hydra's grammar writes them."""

    options: tuple[str, ...]

    def values(self) -> Sequence[Value]:
        return self.options

    def ends(self) -> Sequence[Value]:
        return self.options

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)

    @property
    def is_number(self) -> bool:
        return False

    def record(self) -> dict[str, Any]:
        return {"kind": "WordDimension", "options": list(self.options)}


@dataclass(frozen=True)
class IntegerDimension(Dimension):
    """low, low + step, …, high."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    def values(self) -> Sequence[Value]:
        return range(self.low, self.high + 1, self.step)

    def ends(self) -> Sequence[Value]:
        return (self.low, self.high)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class RealDimension(Dimension):
    """A number from low to high, in steps where there is one."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def values(self) -> Sequence[Value] | None:
        if self.step is None:
            return None
        return [_plain(self.low + self.step * k) for k in range(round((self.high - self.low) / self.step) + 1)]

    def ends(self) -> Sequence[Value]:
        return (self.low, self.high)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Space:
    """The dimensions of a search by key."""

    dimensions: Mapping[str, Dimension]

    def distributions(self) -> dict[str, BaseDistribution]:
        return {key: dimension.distribution() for key, dimension in self.dimensions.items()}

    def record(self) -> dict[str, Any]:
        return {key: dimension.record() for key, dimension in self.dimensions.items()}

    @property
    def size(self) -> int | None:
        """The number of its points, None where there is no end of them."""
        every = [dimension.values() for dimension in self.dimensions.values()]
        return None if any(values is None for values in every) else math.prod(len(values or ()) for values in every)

    def points(self) -> Iterator[dict[str, Value]]:
        """Every point of a finite space, the last key fastest."""
        every = [dimension.values() or () for dimension in self.dimensions.values()]
        return (dict(zip(self.dimensions, point, strict=True)) for point in itertools.product(*every))

    def probes(self) -> Iterator[dict[str, Value]]:
        """Points at which a search is checked before it begins: every end and option once, the others at their first.

        The first of them stands for the whole space.
        """
        first = {key: dimension.ends()[0] for key, dimension in self.dimensions.items()}
        yield first
        for key, dimension in self.dimensions.items():
            yield from ({**first, key: value} for value in dimension.ends()[1:])


def words_of(params: Mapping[str, Value]) -> list[str]:
    """The overrides of a trial, as exact as its numbers are."""
    return [f"{key}={value if isinstance(value, str) else repr(value)}" for key, value in params.items()]


def shown_values(params: Mapping[str, Value]) -> dict[str, str]:
    """The values of a trial for tables and names of folders: numbers to four digits."""
    return {key: f"{v:.4g}" if isinstance(v, float) else str(v).strip("'\"") for key, v in params.items()}


def space_of(overrides: Sequence[Any]) -> tuple[Space, list[str]]:
    """The space that Hydra's parsed overrides describe, and the words that every trial has alike.

    Raises:
        ConfigError: a dimension is empty, or what it says cannot be.
    """
    dimensions, fixed = dict[str, Dimension](), list[str]()
    for override in overrides:
        if not override.is_sweep_override():
            fixed.append(override.input_line)
            continue
        key = override.get_key_element()
        if key in dimensions:
            raise ConfigError(f"{key}: it is given twice")
        dimensions[key] = _dimension(override, override.input_line)
    return Space(dimensions), fixed


def _dimension(override: Any, word: str) -> Dimension:
    value = override.value()
    log = LOG in value.tags
    if strange := value.tags - {LOG, "int", "float"}:
        raise ConfigError(f"{word}: tag {sorted(strange)[0]}: the one that a search knows is log")
    if override.is_choice_sweep():
        return _choice(override, word, log)
    if override.is_interval_sweep():
        return _interval(value, word, log)
    return _range(value, word, log)


def _choice(override: Any, word: str, log: bool) -> WordDimension:
    if log:
        raise ConfigError(f"{word}: a choice has no logarithm: write tag(log,interval(a,b)) or tag(log,range(a,b))")
    options = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not options:
        raise ConfigError(f"{word}: no option: name at least one")
    return WordDimension(options)


def _interval(value: Any, word: str, log: bool) -> Dimension:
    low, high = value.start, value.end
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"{word}: an interval goes from a number to a larger one")
    if log and low <= 0:
        raise ConfigError(f"{word}: a logarithm needs numbers above 0")
    if isinstance(low, int) and isinstance(high, int):
        return IntegerDimension(low, high, log=log)
    return RealDimension(float(low), float(high), log=log)


def _range(value: Any, word: str, log: bool) -> Dimension:
    start, stop, step = value.start, value.stop, 1 if value.step is None else value.step
    if step <= 0 or not start < stop:
        raise ConfigError(f"{word}: a range of a search goes upwards and holds at least one number: range(1,9)")
    if log and start <= 0:
        raise ConfigError(f"{word}: a logarithm needs numbers above 0")
    if log and step != 1:
        raise ConfigError(f"{word}: a logarithm has no steps: leave the step out, or write choice(16,32,64)")
    whole = all(isinstance(each, int) for each in (start, stop, step))
    if log and not whole:
        raise ConfigError(f"{word}: write tag(log,interval({start},{stop}))")
    steps = math.ceil((stop - start) / step - 1e-9) - 1
    if whole:
        return IntegerDimension(start, start + steps * step, step, log)
    return RealDimension(float(start), _plain(start + steps * step), float(step))


def _plain(number: float) -> float:
    """A number without the last digits that adding steps leaves: 0.3 for 0.30000000000000004."""
    return float(f"{number:.12g}")
