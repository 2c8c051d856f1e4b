"""Splits of the rows of a table by their content: equal rows fall on one side, whatever the order of the file.

Every row has a number that is a hash of its texts. Sorted by it, the first rows are the test split, the next ones the
validation split, as many as the shares ask for and at least one each; equal rows have one number and stay together.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from genkit.data.counter_stream import splitmix64
from genkit.data.dataset import SplitName
from genkit.data.tables.text_table import TextTable
from genkit.errors import DataError

Rows = NDArray[np.int64]


def row_numbers(table: TextTable) -> NDArray[np.uint64]:
    """(n,) hashes of the rows' texts."""
    number = np.zeros(len(table), dtype=np.uint64)
    for column in table.columns:
        texts = np.array([_hashed(text) for text in column.texts], dtype=np.uint64)
        number = splitmix64(number * np.uint64(0x9E3779B97F4A7C15) + texts[column.codes])
    return number


def split_rows(table: TextTable, val: float, test: float) -> dict[SplitName, Rows]:
    """The rows of each split, in the order of the table.

    Args:
        table: The columns that are learned.
        val, test: Shares of the rows.

    Raises:
        DataError: fewer than three different rows.
    """
    numbers, place, counts = np.unique(row_numbers(table), return_inverse=True, return_counts=True)
    if len(numbers) < 3:
        what = "1 row" if len(table) == 1 else f"{len(table):,} rows, {len(numbers)} of them different"
        raise DataError(f"{table.source}: {what}: training, validation and test need one of their own each")
    until = np.cumsum(counts)
    tested = _reached(until, 0, test * len(table), len(numbers) - 2)
    validated = _reached(until, tested, until[tested - 1] + val * len(table), len(numbers) - 1)
    kind = np.zeros(len(numbers), dtype=np.int64)
    kind[:tested], kind[tested:validated] = 2, 1
    names: tuple[SplitName, ...] = ("train", "val", "test")
    return {name: np.flatnonzero(kind[place] == i) for i, name in enumerate(names)}


def _reached(until: Rows, start: int, wanted: float, most: int) -> int:
    """The number of different rows that it takes for so many rows, at least one from `start` on."""
    return min(max(int(np.searchsorted(until, wanted)) + 1, start + 1), most)


def _hashed(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
