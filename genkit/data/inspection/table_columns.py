"""The columns of a table, as `genkit data show` describes them: kind, missing cells, values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from genkit.data.dataset import Dataset, SplitName
from genkit.data.tables.codes import Floats
from genkit.data.tables.forms import LevelForm
from genkit.data.tables.kind import Tabular
from genkit.data.tables.table_spec import Column

LEVELS = 20  # the most frequent ones of a column that are given with their numbers


@dataclass(frozen=True)
class ColumnFacts:
    """A column over all splits.

    Attributes:
        name, kind: Of the column.
        missing: Cells that are.
        distinct: Different values, missing cells aside.
        least, most: The smallest and the largest value as written; None of names.
        levels: The most frequent levels and their numbers of rows; {} of numbers and dates.
        target: Whether the others are to predict it.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    least: str | None
    most: str | None
    levels: dict[str, int]
    target: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def column_facts(dataset: Dataset) -> list[ColumnFacts]:
    """The columns in their order; none of data that is no table."""
    kind = dataset.spec.kind
    if not isinstance(kind, Tabular):
        return []
    names: tuple[SplitName, ...] = ("train", "val", "test")
    cells = np.concatenate([kind.cells(chunk.x) for name in names for chunk in _chunks(dataset, name)])
    columns = kind.table.columns
    return [_facts(column, cells[:, i], i == kind.table.predicted) for i, column in enumerate(columns)]


def _chunks(dataset: Dataset, name: SplitName) -> Iterator[Any]:
    split = dataset.split(name)
    return split.chunks(split.chunk_size)


def _facts(column: Column, cells: Floats, target: bool) -> ColumnFacts:
    present = cells[~np.isnan(cells)]
    values, counts = np.unique(present, return_counts=True)
    least = most = None
    levels: dict[str, int] = {}
    if isinstance(column.form, LevelForm):
        order = np.argsort(-counts, kind="stable")[:LEVELS]
        levels = {column.form.write(values[i]): int(counts[i]) for i in order}
    elif len(values):
        least, most = column.form.write(values[0]), column.form.write(values[-1])
    return ColumnFacts(column.name, column.kind, len(cells) - len(present), len(values), least, most, levels, target)
