"""A table as it is written: every cell a text, held once for each distinct text of a column.

What a text means is decided by `genkit.data.tables.inference`, on the distinct texts alone: a column of a million rows
and five levels is read and understood at the cost of its five texts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genkit.errors import DataError
from genkit.printing import shown

Codes = NDArray[np.int64]

MOST_COLUMNS = 4096
MOST_ROWS = 20_000_000


@dataclass(frozen=True, eq=False)
class TextColumn:
    """The cells of a column as texts.

    Attributes:
        name: In the header.
        texts: The distinct texts, in the order in which they first occur.
        codes: (n,) which of them each row has.
        quoted: Whether its numbers stand in quotes while those of other columns do not: they are names then.
    """

    name: str
    texts: tuple[str, ...]
    codes: Codes
    quoted: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    def cells(self) -> list[str]:
        """The text of every row."""
        return [self.texts[code] for code in self.codes]


@dataclass(frozen=True, eq=False)
class TextTable:
    """Columns of equal length.

    Attributes:
        columns: One or more, of different names.
        source: Where they come from, for messages.

    Raises:
        DataError: a name twice, or no rows.
    """

    columns: tuple[TextColumn, ...]
    source: str

    def __post_init__(self) -> None:
        check_header(self.names, self.source)
        if not len(self):
            raise DataError(f"{self.source}: a header and no rows: give a table with rows below its names")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def __len__(self) -> int:
        return len(self.columns[0])

    def column(self, name: str) -> TextColumn:
        """The column of this name. Raises DataError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise DataError(f"{self.source}: no column {shown(name)}; it has {listed(self.names)}")

    def without(self, drop: Collection[str]) -> TextTable:
        """The table without some of its columns. Raises as `check_drop`."""
        check_drop(self.names, drop, self.source)
        return TextTable(tuple(column for column in self.columns if column.name not in drop), self.source)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The texts row by row."""
        return zip(*(column.cells() for column in self.columns), strict=True)


class ColumnCollector:
    """Collects the cells of one column, each distinct text once.

    Args:
        name: Of the column.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._numbers: dict[str, int] = {}
        self._codes: list[int] = []

    def extend(self, cells: Iterable[str]) -> None:
        """Take in more cells, from top to bottom."""
        numbers = self._numbers
        self._codes += [numbers.setdefault(cell, len(numbers)) for cell in cells]

    def column(self, quoted: bool = False) -> TextColumn:
        """The column so far."""
        return TextColumn(self.name, tuple(self._numbers), np.array(self._codes, dtype=np.int64), quoted)


def check_header(names: Sequence[str], source: str) -> None:
    """Raises DataError for names that are missing, given twice, or too many."""
    if not names:
        raise DataError(f"{source}: no columns: give a table with a header")
    if len(names) > MOST_COLUMNS:
        raise DataError(f"{source}: {len(names):,} columns; the most that are read are {MOST_COLUMNS:,}")
    for i, name in enumerate(names):
        if not name:
            raise DataError(f"{source}: column {i + 1} has no name: give every column one in the first line")
        if name in names[:i]:
            raise DataError(f"{source}: two columns are called {shown(name)}: rename one of them")


def check_drop(names: Sequence[str], drop: Collection[str], source: str) -> None:
    """Raises DataError for a name that is no column's, or where no column is left."""
    if unknown := [name for name in drop if name not in names]:
        raise DataError(f"data.drop: {source} has no column {shown(unknown[0])}; it has {listed(names)}")
    if not set(names) - set(drop):
        raise DataError(f"{source}: data.drop= leaves no column: name fewer")


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names in one line, the first ones of many."""
    return ", ".join(map(shown, names[:most])) + (f", … ({len(names):,} in all)" if len(names) > most else "")
