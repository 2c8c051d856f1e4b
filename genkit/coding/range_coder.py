r"""Range coding: a message as a number in an interval that every symbol narrows, first symbol first (a queue).

With an interval [l, l + r) and a symbol of the cumulative frequencies C_k … C_{k+1} out of 2²⁴,

.. math:: l \leftarrow l + \lfloor r / 2^{24} \rfloor C_k, \qquad
          r \leftarrow \lfloor r / 2^{24} \rfloor (C_{k+1} - C_k)

so that a message of probability P ends in an interval of about that length, and −log₂ P bits name a number in it. What
no later symbol can change is written, in words of 32 bits, whenever r falls below 2⁶⁴. A carry may still run into
words that are all ones, which are therefore held back.

r keeps 40 bits or more beside those of a frequency, so the division loses less than 2⁻⁴⁰ of it: the overhead is that
of the frequencies and at most two bytes at the end.

Reference: Martin 1979, Range encoding: an algorithm for removing redundancy from a digitised message.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from genkit.coding.frequencies import PRECISION, TOTAL, Integers, spans
from genkit.errors import DataError

WORD = 32
MASK = 2**WORD - 1
LEAST = 2**64  # of the range
MOST = 2**96
RUN_OUT = 8  # words that a decoder may read beyond the end: a sound message has it read three


class RangeEncoder:
    """Symbols to bytes."""

    def __init__(self) -> None:
        self.low, self.range = 0, MOST
        self.words: list[int] = []  # written; a carry may still reach those that are all ones, and the one before
        self.held = -1  # the last word that is not all ones; −1: there is none yet
        self.ones = 0  # words of ones after it

    def encode(self, table: Integers, symbols: Integers) -> None:
        """Add the symbols (n,) of n rows of cumulative frequencies (n, V + 1), first row first."""
        low, size = self.low, self.range
        for first, frequency in zip(*spans(table, symbols), strict=True):
            share = size >> PRECISION
            low += share * first
            size = share * frequency
            while size < LEAST:
                low = self._shift(low)
                size <<= WORD
        self.low, self.range = low, size

    def finish(self) -> bytes:
        """The message: the shortest one that names a number in the interval, its last zeros left to the decoder."""
        low, size = self.low, self.range
        for bits in range(96, -1, -8):  # the fewest bytes: the number in the interval with the most zeros at its end
            number = -(-low >> bits) << bits
            if number < low + size:
                break
        for _ in range(3):
            number = self._shift(number)
        self._write_held(0)
        message = np.array(self.words, dtype=">u4").tobytes()
        return message[:-12] + message[-12:].rstrip(b"\0")

    def _shift(self, low: int) -> int:
        """Write the highest word of `low`, which may carry; returns the rest, one word up."""
        word = low >> 64
        if word == MASK:
            self.ones += 1
        else:
            self._write_held(word >> WORD)
            self.held = word & MASK
        return (low & (LEAST - 1)) << WORD

    def _write_held(self, carry: int) -> None:
        if self.held >= 0:
            self.words.append(self.held + carry)
        self.words.extend([(MASK + carry) & MASK] * self.ones)
        self.held, self.ones = -1, 0


class RangeDecoder:
    """Bytes to the symbols that were encoded, asked for in the same order with the same frequencies.

    Args:
        message: What `RangeEncoder.finish` returned.
    """

    def __init__(self, message: bytes) -> None:
        padded = message + bytes(-len(message) % 4 + 4 * RUN_OUT)
        self.words: list[int] = np.frombuffer(padded, dtype=">u4").tolist()
        self.place = 3
        self.offset = self.words[0] << 64 | self.words[1] << 32 | self.words[2]  # of the number above the low end
        self.range = MOST

    def decode(self, table: Integers) -> Integers:
        """The next n symbols, by n rows of cumulative frequencies (n, V + 1).

        Raises DataError where the message ends too early.
        """
        offset, size, place, words = self.offset, self.range, self.place, self.words
        found = []
        try:
            for row in table.tolist():
                share = size >> PRECISION
                target = offset // share
                symbol = bisect_right(row, target if target < TOTAL else TOTAL - 1) - 1
                first = row[symbol]
                found.append(symbol)
                offset -= share * first
                size = share * (row[symbol + 1] - first)
                while size < LEAST:
                    offset = offset << WORD | words[place]
                    size <<= WORD
                    place += 1
        except IndexError as error:
            raise DataError("the message ends before its last symbol: it is cut short or damaged") from error
        self.offset, self.range, self.place = offset, size, place
        return np.array(found, dtype=np.int64)
