"""The written form of a column's cells: from texts to numbers and back, so that a cell comes back as it was written.

A cell in numbers is a float64, NaN where it is missing:

* `NumberForm`: the value, written with as many decimals as the column has;
* `LevelForm`: the place in a list of texts;
* `DateForm`: days, seconds or microseconds since 1970, written by the column's own pattern.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

from genkit.errors import DataError
from genkit.printing import shown

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
CODE = re.compile(r"[+-]?0[0-9]")  # 007 is a name: as a number it would come back as 7
WHOLE = re.compile(r"[+-]?[0-9]+")
LARGEST = 1e100
EXACT = 2.0**53  # whole numbers beyond it have no float64 of their own
MOST_DECIMALS = 12  # of numbers that are rounded when they are written; others are written in full

DAY, SECOND, MICROSECOND = 86_400.0, 1.0, 1e-6
PATTERNS: tuple[tuple[str, float], ...] = (
    ("%Y-%m-%d", DAY),
    ("%Y-%m-%d %H:%M", SECOND),
    ("%Y-%m-%d %H:%M:%S", SECOND),
    ("%Y-%m-%d %H:%M:%S.%f", MICROSECOND),
    ("%Y-%m-%dT%H:%M", SECOND),
    ("%Y-%m-%dT%H:%M:%S", SECOND),
    ("%Y-%m-%dT%H:%M:%SZ", SECOND),
    ("%Y-%m-%dT%H:%M:%S.%f", MICROSECOND),
    ("%Y-%m-%dT%H:%M:%S.%fZ", MICROSECOND),
    ("%Y/%m/%d", DAY),
    ("%d.%m.%Y", DAY),
    ("%m/%d/%Y", DAY),
    ("%d/%m/%Y", DAY),
)
EPOCH = datetime(1970, 1, 1)


def is_number(text: str) -> bool:
    """Tell whether a text is a number, and no code with leading zeros."""
    return NUMBER.fullmatch(text) is not None and CODE.match(text) is None and abs(float(text)) <= LARGEST


def is_rounded(text: str) -> bool:
    """Tell whether a number is a whole one that no float64 holds exactly."""
    return WHOLE.fullmatch(text) is not None and abs(int(text)) > EXACT and int(float(text)) != int(text)


class CellForm(ABC):
    """The written form of the cells of one column, missing ones left out."""

    name: ClassVar[str]

    @property
    def digits(self) -> int | None:
        """Decimals to which a number between the column's own is rounded, None for as it is."""
        return None

    @abstractmethod
    def read(self, text: str) -> float:
        """The number of a cell. Raises ValueError, with what is expected, for a text of another form."""

    @abstractmethod
    def write(self, cell: float) -> str:
        """The text of a number that is in the column's range."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain values that `form_of` reads."""


@dataclass(frozen=True)
class NumberForm(CellForm):
    """Decimal numbers.

    Attributes:
        decimals: Digits behind the point that say something; None where there are too many to round to.
        places: Digits behind the point that every cell is written with; None where they differ.
        pointed: Whether whole numbers are then written with a point: "3.0".
    """

    decimals: int | None = None
    places: int | None = None
    pointed: bool = False

    name: ClassVar[str] = "number"

    def __post_init__(self) -> None:
        for digits in (self.decimals, self.places):
            if digits is not None and not 0 <= digits <= MOST_DECIMALS:
                raise DataError(f"{digits} decimals: 0 … {MOST_DECIMALS} are written")

    @classmethod
    def of(cls, texts: Sequence[str]) -> NumberForm:
        """The form that these numbers are written in."""
        decimals = max((_decimals(text) for text in texts), default=0)
        pointed = any("." in text and float(text).is_integer() for text in texts)
        written = {-1 if "e" in text.lower() else len(text.partition(".")[2]) for text in texts}
        places = written.pop() if len(written) == 1 else -1
        known = places if 0 <= places <= MOST_DECIMALS else None
        return cls(decimals if decimals <= MOST_DECIMALS else None, known, pointed)

    def read(self, text: str) -> float:
        if not is_number(text):
            raise ValueError("a number")
        return float(text)

    @property
    def digits(self) -> int | None:
        return self.decimals

    def round(self, cell: float) -> float:
        """The number that is written."""
        value = float(cell) + 0.0  # makes 0 of −0
        return value if self.decimals is None or not math.isfinite(value) else round(value, self.decimals) + 0.0

    def write(self, cell: float) -> str:
        value = self.round(cell)
        if self.places is not None:
            return f"{value:.{self.places}f}"
        if not value.is_integer():
            return repr(value)
        whole = f"{int(value)}"
        return f"{whole}.0" if self.pointed else whole

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "decimals": self.decimals, "places": self.places, "pointed": self.pointed}


@dataclass(frozen=True)
class LevelForm(CellForm):
    """Texts of a list.

    Attributes:
        texts: One or more, in their order where they have one.
    """

    texts: tuple[str, ...]

    name: ClassVar[str] = "levels"

    def __post_init__(self) -> None:
        if len(set(self.texts)) < len(self.texts) or not all(type(text) is str for text in self.texts):
            raise DataError("levels of a column: different texts")

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each text in the list."""
        return {text: i for i, text in enumerate(self.texts)}

    def read(self, text: str) -> float:
        if text not in self.places:
            some = ", ".join(map(shown, self.texts[:6])) + (", …" if len(self.texts) > 6 else "")
            raise ValueError(f"one of the levels {some}")
        return float(self.places[text])

    def write(self, cell: float) -> str:
        return self.texts[int(cell)]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "texts": list(self.texts)}


@dataclass(frozen=True)
class DateForm(CellForm):
    """Dates, or dates and times, by one pattern.

    Attributes:
        pattern: One of `PATTERNS`.
    """

    pattern: str

    name: ClassVar[str] = "date"

    def __post_init__(self) -> None:
        if self.pattern not in dict(PATTERNS):
            raise DataError(f"no pattern of dates: {shown(self.pattern)}")

    @classmethod
    def of(cls, texts: Sequence[str]) -> DateForm | None:
        """The first pattern that all of these texts have, None where there is none."""
        for pattern, _ in PATTERNS:
            if all(_is_date(text, pattern) for text in texts):
                return cls(pattern)
        return None

    @property
    def digits(self) -> int | None:
        return 0

    @property
    def unit(self) -> float:
        """Seconds between neighbouring values."""
        return dict(PATTERNS)[self.pattern]

    @property
    def _step(self) -> timedelta:
        return timedelta(seconds=self.unit)

    def read(self, text: str) -> float:
        if not _is_date(text, self.pattern):
            raise ValueError(f"a date like {EPOCH.strftime(self.pattern)}")
        return float((datetime.strptime(text, self.pattern) - EPOCH) // self._step)

    def write(self, cell: float) -> str:
        return (EPOCH + self._step * round(cell)).strftime(self.pattern)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "pattern": self.pattern}


def form_of(node: dict[str, Any]) -> CellForm:
    """The form that `to_json` described. Raises what its reading raises, or DataError."""
    match node["name"]:
        case NumberForm.name:
            decimals, places = (None if node[key] is None else int(node[key]) for key in ("decimals", "places"))
            return NumberForm(decimals, places, bool(node["pointed"]))
        case LevelForm.name:
            return LevelForm(tuple(node["texts"]))
        case DateForm.name:
            return DateForm(str(node["pattern"]))
    raise ValueError("no form of a column")


def _decimals(text: str) -> int:
    """Digits behind the point of a number, trailing zeros left out."""
    exponent = Decimal(text).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _is_date(text: str, pattern: str) -> bool:
    """Tell whether a text is a date of this pattern, and would be written so again."""
    try:
        return datetime.strptime(text, pattern).strftime(pattern) == text
    except ValueError:
        return False
