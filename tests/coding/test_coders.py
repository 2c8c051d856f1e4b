"""Both coders: what was encoded comes back, at the price of its information."""

import numpy as np
import pytest

from genkit.coding.ans import ANSStack
from genkit.coding.bits_back import BOTTOM
from genkit.coding.frequencies import TOTAL, cumulative_frequencies
from genkit.coding.range_coder import RangeDecoder, RangeEncoder
from genkit.errors import DataError


def symbols_of(count: int, n: int, spread: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Rows of cumulative frequencies, symbols drawn by them, and their information in bits."""
    draw = np.random.default_rng(count + n)
    table = cumulative_frequencies(spread * draw.normal(size=(n, count)))
    at = draw.integers(0, TOTAL, size=(n, 1))
    symbols = (table[:, 1:] <= at).sum(1)
    first, end = (np.take_along_axis(table, (symbols + k)[:, None], 1)[:, 0] for k in (0, 1))
    return table, symbols, float(-np.log2((end - first) / TOTAL).sum())


def by_range(table: np.ndarray, symbols: np.ndarray) -> tuple[bytes, np.ndarray]:
    encoder = RangeEncoder()
    for part in np.array_split(np.arange(len(symbols)), 7):
        encoder.encode(table[part], symbols[part])
    message = encoder.finish()
    decoder = RangeDecoder(message)
    found = [decoder.decode(table[part]) for part in np.array_split(np.arange(len(symbols)), 3)]
    return message, np.concatenate(found)


def by_stack(table: np.ndarray, symbols: np.ndarray) -> tuple[bytes, np.ndarray]:
    stack = ANSStack(BOTTOM)
    stack.push(table, symbols)
    message = stack.to_bytes()
    again = ANSStack(message)
    found = again.pop(table)
    assert again.to_bytes() == BOTTOM  # all that was pushed is gone
    return message, found


@pytest.mark.parametrize("coder", [by_range, by_stack])
@pytest.mark.parametrize(
    ("count", "n", "spread"), [(2, 20_000, 8.0), (17, 3_000, 2.0), (300, 400, 30.0), (1, 50, 0.0), (5, 0, 1.0)]
)
def test_symbols_come_back_and_cost_their_information(coder, count, n, spread):
    table, symbols, bits = symbols_of(count, n, spread)
    message, found = coder(table, symbols)
    assert (found == symbols).all()
    assert 8 * len(message) <= bits * (1 + 1e-6) + 8 * 2 + (128 if coder is by_stack else 0)


@pytest.mark.parametrize("coder", [by_range, by_stack])
@pytest.mark.parametrize("chosen", [0, 1])
def test_the_least_and_the_most_likely_symbol_again_and_again(coder, chosen):
    """Intervals that shrink by 2^24 each time, and those that hardly shrink, with every carry on the way."""
    table = np.repeat(cumulative_frequencies(np.array([[-50.0, 0.0]])), 3000, axis=0)
    message, found = coder(table, np.full(3000, chosen))
    assert (found == chosen).all()
    assert len(message) <= (13 if chosen else 3000 * 3 + 14)


def test_carries_run_through_words_of_ones():
    """The interval lies at the top of what is left again and again, so that ones are held back, then carried into."""
    table = cumulative_frequencies(np.zeros((4000, 2)))
    for seed in range(20):
        symbols = np.ones(4000, dtype=np.int64)
        symbols[np.random.default_rng(seed).integers(0, 4000, 3)] = 0
        assert (by_range(table, symbols)[1] == symbols).all()


def test_a_message_that_is_cut_short_decodes_to_no_more_than_it_holds():
    table, symbols, _ = symbols_of(17, 3_000, 2.0)
    message, _ = by_range(table, symbols)
    with pytest.raises(DataError, match="ends before"):
        RangeDecoder(message[: len(message) // 2]).decode(table)
    message, _ = by_stack(table, symbols)
    with pytest.raises(DataError, match="empty before"):
        ANSStack(message[: len(message) // 8 * 4]).pop(table)


@pytest.mark.parametrize("message", [b"", b"123", bytes(12), b"\x80" + bytes(12)])
def test_bytes_that_are_no_stack_are_refused(message):
    with pytest.raises(DataError):
        ANSStack(message)
