"""Axes of a drawing in SVG: what range is shown, where it is marked, and how its numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from genkit.report.page.thinning import Point

WIDE = 50  # largest value over the least, from which on an axis shows powers of ten
START = 0.1  # share of a run whose values may lie outside the drawing, where they would flatten all others
FLATTENED = 6.0  # times the range of the others, from which on they do
ROOM = 0.04  # on both sides of the data
BEYOND_POWERS = 4  # digits, from which on a number is written with a power of ten
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Axis:
    """A range of numbers on a line of `length` units.

    Attributes:
        low, high: The ends, low < high; of a logarithmic axis both positive.
        length: Of the line; it may be drawn upwards.
        logarithmic: Whether powers are equally far apart.
        upward: Whether the low end is at `length`, as on a vertical axis of SVG.
        cut: Whether some values lie outside.
    """

    low: float
    high: float
    length: float
    logarithmic: bool = False
    upward: bool = False
    cut: bool = False

    def place(self, value: float) -> float:
        """The place of a value on the line."""
        at, low, high = (self._scaled(v) for v in (value, self.low, self.high))
        share = (at - low) / (high - low)
        share = min(max(share, -3.0), 4.0)  # far outside is outside
        return round(self.length * (1 - share if self.upward else share), 2)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.logarithmic else value

    @property
    def marks(self) -> list[float]:
        """Round numbers within the range, about four."""
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            every = max(1, math.ceil((last - first + 1) / 5))
            powers = [10.0**k for k in range(first, last + 1, every)]
            if len(powers) > 1:
                return powers
        return round_numbers(self.low, self.high)


def round_numbers(low: float, high: float, about: int = 4) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten in [low, high]."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12 - math.floor(math.log10(step))) for k in range(first, last + 1)]


def values_axis(curves: Sequence[Sequence[Point]], length: float) -> Axis:
    """The vertical axis of curves: all values, but for an early part beside which the rest would be flat."""
    values = [y for curve in curves for _, y in curve]
    low, high = min(values), max(values)
    if low == high:
        low, high = (low, low + 1.0) if low == 0 else (min(low, 0.0) * 1.25, max(low, 0.0) * 1.25)
    if low > 0 and high > WIDE * low:
        return Axis(low / 1.2, high * 1.2, length, logarithmic=True, upward=True)
    last = max(x for curve in curves for x, _ in curve)
    later = [y for curve in curves for x, y in curve if x > START * last]
    cut = False
    if later:
        span = max(later) - min(later)
        if span > 0 and high - low > FLATTENED * span:
            low, high, cut = max(low, min(later) - span / 2), min(high, max(later) + span / 2), True
    room = ROOM * (high - low) or abs(high) * ROOM or 1.0
    return Axis(low - room, high + room, length, upward=True, cut=cut)


def written(value: float) -> str:
    """A number on an axis or beside a curve: 4 significant digits, thin exponents."""
    if value == 0:
        return "0"
    if abs(value) >= 10**5 or abs(value) < 10**-BEYOND_POWERS:
        mantissa, _, power = f"{value:.3g}".partition("e")
        return f"{mantissa}e{int(power)}" if power else mantissa
    return f"{value:,.4g}" if abs(value) < 10**4 else f"{value:,.0f}"


def short(value: float) -> str:
    """A step on an axis: 25k, 1.5M."""
    for size, letter in PREFIXES:
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
