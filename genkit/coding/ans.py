r"""Asymmetric numeral systems: a message as one whole number that every symbol makes larger, last in first out.

A symbol with the cumulative frequencies c … c + f out of M = 2²⁴ is pushed on the number s, and popped again, by

.. math:: s \leftarrow M \lfloor s / f \rfloor + (s \bmod f) + c, \qquad
          s \leftarrow f \lfloor s / M \rfloor + (s \bmod M) - c

since s mod M lies in [c, c + f) afterwards and so tells the symbol. s grows by log₂(M / f) bits. It is kept within
2⁶⁴ … 2⁹⁶ by moving its lowest word of 32 bits to a list and back (rANS).

Popping from bits that no symbol was pushed on draws a symbol by those frequencies, and pushing it again gives the same
bits back. That is what bits-back coding rests on, and why it needs a stack.

Reference: Duda 2013, 1311.2540.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator

import numpy as np

from genkit.coding.frequencies import PRECISION, TOTAL, Integers, spans
from genkit.errors import DataError

WORD = 32
MASK = 2**WORD - 1
LEAST = 2**64
HIGH = 96 - PRECISION  # bits of a frequency's multiple that the number must stay below before a push


def random_words(seed: int) -> Iterator[int]:
    """Endless words of 32 random bits, a function of the seed."""
    bits = np.random.Philox(key=seed)
    while True:
        for double in bits.random_raw(64).tolist():
            yield double & MASK
            yield double >> WORD


class ANSStack:
    """A stack of symbols, made of bytes.

    Attributes:
        drawn: Words that were taken from `supply`.

    Args:
        message: What `to_bytes` returned; 12 bytes or more, a multiple of 4.
        supply: Words to pop symbols from where the stack is empty; None: that is an error.

    Raises:
        DataError: bytes that no stack is written as.
    """

    def __init__(self, message: bytes, supply: Iterator[int] | None = None) -> None:
        if len(message) < 12 or len(message) % 4:
            raise DataError("these bytes are no stack of symbols: cut short or damaged")
        words: list[int] = np.frombuffer(message, dtype=">u4").tolist()
        self.state = words[0] << 64 | words[1] << 32 | words[2]
        self.words = words[3:]
        if self.state < LEAST:
            raise DataError("these bytes are no stack of symbols: damaged")
        self.supply, self.drawn = supply, 0

    def to_bytes(self) -> bytes:
        """The stack as it is now."""
        s = self.state
        return np.array([s >> 64, s >> 32 & MASK, s & MASK, *self.words], dtype=">u4").tobytes()

    def push(self, table: Integers, symbols: Integers) -> None:
        """Put the symbols (n,) of n rows of cumulative frequencies (n, V + 1) on the stack, last row first.

        `pop` then returns them in the order of their rows.
        """
        first, frequency = spans(table, symbols)
        for c, f in zip(reversed(first), reversed(frequency), strict=True):
            self.push_span(c, f)

    def pop(self, table: Integers) -> Integers:
        """Take n symbols (n,) off, by n rows of cumulative frequencies (n, V + 1).

        Raises DataError where there is nothing left.
        """
        found = []
        for row in table.tolist():
            symbol = bisect_right(row, self.state & (TOTAL - 1)) - 1
            self._take(row[symbol], row[symbol + 1] - row[symbol])
            found.append(symbol)
        return np.array(found, dtype=np.int64)

    def push_span(self, first: int, frequency: int) -> None:
        """Put one symbol on the stack, by its first cumulative frequency and its frequency."""
        s = self.state
        while s >> HIGH >= frequency:
            self.words.append(s & MASK)
            s >>= WORD
        high, low = divmod(s, frequency)
        self.state = (high << PRECISION) + low + first

    def pop_by(self, cumulative: Callable[[int], int], count: int) -> int:
        """Take one of `count` symbols off, by a function from k in 0 … count to C_k, which is not written out."""
        target = self.state & (TOTAL - 1)
        symbol = bisect_right(range(count + 1), target, key=cumulative) - 1
        first = cumulative(symbol)
        self._take(first, cumulative(symbol + 1) - first)
        return symbol

    def _take(self, first: int, frequency: int) -> None:
        s = frequency * (self.state >> PRECISION) + (self.state & (TOTAL - 1)) - first
        while s < LEAST:
            s = s << WORD | (self.words.pop() if self.words else self._drawn())
        self.state = s

    def _drawn(self) -> int:
        if self.supply is None:
            raise DataError("the stack of symbols is empty before its last one: cut short or damaged")
        self.drawn += 1
        return next(self.supply)
