"""The columns of a table, and the map between rows of cells and vectors: all that turns samples into rows.

It is plain and frozen: a checkpoint holds it as a part of its data's spec, so samples become a table without the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np

from genkit.data.tables.codes import Code, CoordinateBlock, Floats, code_of
from genkit.data.tables.forms import CellForm, LevelForm, form_of
from genkit.data.tables.text_table import MOST_COLUMNS, TextColumn, TextTable
from genkit.errors import DataError
from genkit.printing import shown

ColumnKind = Literal["numeric", "integer", "categorical", "ordinal", "date"]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: In the header.
        kind: What its cells are.
        form: How they are written.
        code: Their coordinates.
        missing: The text of a missing cell; None where none is missing.
    """

    name: str
    kind: ColumnKind
    form: CellForm
    code: Code
    missing: str | None = None

    def read(self, column: TextColumn, missing: frozenset[str], source: str) -> Floats:
        """The cells (n,) of texts, NaN where they are missing. Raises DataError for a cell that it cannot have."""
        known = np.array([self._cell(text, missing, source) for text in column.texts], dtype=np.float64)
        unseen = ~self.code.accepts(known)
        if unseen.any():
            text = column.texts[int(unseen.argmax())]
            if np.isnan(known[unseen.argmax()]):
                raise DataError(f"{source}: column {shown(self.name)} has missing cells, and the data has none in it")
            raise DataError(f"{source}: column {shown(self.name)}: {shown(text)} is no value that the data has in it")
        return known[column.codes]

    def _cell(self, text: str, missing: frozenset[str], source: str) -> float:
        level = isinstance(self.form, LevelForm) and text in self.form.places  # what was said to be one is not missing
        if is_missing(text, missing) and not level:
            return np.nan
        try:
            return self.form.read(text)
        except ValueError as error:
            raise DataError(f"{source}: column {shown(self.name)}: {shown(text)} is not {error}") from error

    def write(self, cells: Floats) -> list[str]:
        """The texts of cells (n,)."""
        distinct, codes = np.unique(cells, return_inverse=True)
        texts = [self.missing or "" if np.isnan(cell) else self.form.write(cell) for cell in distinct]
        return [texts[code] for code in codes]

    def decode(self, x: Floats) -> Floats:
        """Any coordinates (n, width) to cells (n,), rounded as they are written."""
        cells = self.code.decode(x)
        return cells if self.discrete or self.form.digits is None else np.round(cells, self.form.digits)

    @property
    def discrete(self) -> bool:
        """Tell whether it has a list of values."""
        return not any(block.kind == "continuous" for block in self.code.blocks())

    def to_json(self) -> dict[str, Any]:
        """Plain values that `of_json` reads."""
        return {
            "name": self.name,
            "kind": self.kind,
            "form": self.form.to_json(),
            "code": self.code.to_json(),
            "missing": self.missing,
        }

    @classmethod
    def of_json(cls, node: dict[str, Any]) -> Column:
        """Raises what its reading raises, or DataError."""
        name, kind, missing = node["name"], node["kind"], node["missing"]
        if type(name) is not str or kind not in get_args(ColumnKind) or not (missing is None or type(missing) is str):
            raise ValueError("no column of a table")
        return cls(name, kind, form_of(node["form"]), code_of(node["code"]), missing)


@dataclass(frozen=True)
class TableSpec:
    """The columns of a table, in their order.

    Attributes:
        columns: One or more, of different names.
        target: The column that the others are to predict; None: the last one.
        missing: Texts that mean a missing cell in a file, casefolded.

    Raises:
        DataError: names that are no header, or a target that is none of them.
    """

    columns: tuple[Column, ...]
    target: str | None = None
    missing: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        names = self.names
        if not 0 < len(names) <= MOST_COLUMNS or len(set(names)) < len(names):
            raise DataError(f"a table of {len(names):,} columns: 1 … {MOST_COLUMNS:,} of different names")
        if self.target is not None and self.target not in names:
            raise DataError(f"target {shown(self.target)}: no such column")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def predicted(self) -> int:
        """The place of the column that the others are to predict."""
        return len(self.columns) - 1 if self.target is None else self.names.index(self.target)

    @property
    def labelling(self) -> LevelForm | None:
        """The levels that label the rows, those of a named target; None where there are none."""
        form = self.columns[self.predicted].form
        return form if self.target is not None and isinstance(form, LevelForm) else None

    @property
    def width(self) -> int:
        """The number of coordinates of a row."""
        return sum(column.code.width for column in self.columns)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The coordinates of each column."""
        ends = np.cumsum([0, *(column.code.width for column in self.columns)]).tolist()
        return tuple(slice(low, high) for low, high in pairwise(ends))

    @cached_property
    def blocks(self) -> tuple[tuple[slice, CoordinateBlock], ...]:
        """The coordinates that belong together, and what they are."""
        found, low = [], 0
        for column in self.columns:
            for block in column.code.blocks():
                found.append((slice(low, low + block.width), block))
                low += block.width
        return tuple(found)

    @property
    def names_of_values(self) -> tuple[str, ...]:
        """The column of each coordinate."""
        return tuple(column.name for column in self.columns for _ in range(column.code.width))

    def encode(self, cells: Floats) -> Floats:
        """Cells (n, columns) to vectors (n, width)."""
        return np.concatenate([c.code.encode(cells[:, i]) for i, c in enumerate(self.columns)], 1)

    def decode(self, x: Floats) -> Floats:
        """Any vectors (n, width) to cells (n, columns)."""
        return np.stack([c.decode(x[:, own]) for c, own in zip(self.columns, self.slices, strict=True)], 1)

    def marginals(self, n: int) -> Floats:
        """Cells (n, columns) with each column's distribution in the training rows; the rows mean nothing."""
        p = (np.arange(n) + 0.5) / n
        return np.stack([column.code.quantiles(p) for column in self.columns], 1)

    def read(self, table: TextTable) -> Floats:
        """The cells (n, columns) of a table that has these columns in any order, and perhaps others.

        Raises:
            DataError: a column is not there, or a cell is none that it can have.
        """
        missing = frozenset(self.missing)
        columns = [column.read(table.column(column.name), missing, table.source) for column in self.columns]
        return np.stack(columns, 1)

    def write(self, cells: Floats) -> list[list[str]]:
        """The texts of cells (n, columns), column by column."""
        return [column.write(cells[:, i]) for i, column in enumerate(self.columns)]

    def to_json(self) -> dict[str, Any]:
        """Plain values that `of_json` reads."""
        return {
            "columns": [column.to_json() for column in self.columns],
            "target": self.target,
            "missing": list(self.missing),
        }

    @classmethod
    def of_json(cls, node: dict[str, Any]) -> TableSpec:
        """Raises what its reading raises, or DataError."""
        missing = tuple(node["missing"])
        if not all(type(text) is str for text in missing):
            raise ValueError("no texts of missing cells")
        return cls(tuple(Column.of_json(column) for column in node["columns"]), node["target"], missing)


def is_missing(text: str, missing: frozenset[str]) -> bool:
    """Tell whether a text says that a cell is missing; case does not count."""
    return text.casefold() in missing
