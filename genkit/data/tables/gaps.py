"""Tables with empty cells that are to be filled in: the rest of their rows is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.data.tables.files import read_table
from genkit.data.tables.kind import Tabular
from genkit.data.tables.table_spec import Column, is_missing
from genkit.data.tables.text_table import TextColumn, TextTable
from genkit.errors import DataError
from genkit.printing import shown


def read_with_gaps(path: Path, spec: DataSpec) -> tuple[InMemory, Tensor]:
    """Rows of a file as stored values (n, D) float64, and bool (n, D): what is known of them.

    An empty cell is unknown, whether or not the data has such: an allowed value stands in its place. Rows have labels
    where the data has and the column of these has no empty cell.

    Raises:
        DataError: no table, a missing column, a cell that the data cannot have, or no empty cell.
    """
    assert isinstance(spec.kind, Tabular)
    table, missing = spec.kind.table, frozenset(spec.kind.table.missing)
    text = read_table(path)
    columns, known = [], []
    for column in table.columns:
        found = text.column(column.name)
        gaps = np.array([is_missing(cell, missing) for cell in found.texts])
        columns.append(_filled(found, gaps, column))
        known.append(torch.from_numpy(~gaps[found.codes])[:, None].expand(-1, column.code.width))
    mask = torch.cat(known, 1)
    if bool(mask.all()):
        raise DataError(f"{shown(path)}: no cell is empty: say what is known with known= or hidden=")
    cells = table.read(TextTable(tuple(columns), text.source))
    told = spec.num_classes is not None and bool(mask[:, table.slices[table.predicted]].all())
    y = torch.from_numpy(cells[:, table.predicted].astype(np.int64)) if told else None
    return InMemory(spec.kind.vectors(cells), y), mask


def _filled(found: TextColumn, gaps: np.ndarray, column: Column) -> TextColumn:
    """The column with an allowed text in its empty cells."""
    if not gaps.any():
        return found
    allowed = column.write(column.decode(np.zeros((1, column.code.width))))[0]
    texts = tuple(allowed if gap else cell for cell, gap in zip(found.texts, gaps, strict=True))
    return replace(found, texts=texts)
