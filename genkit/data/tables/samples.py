"""Samples of a table in files of cells: read as the vectors that stand for them, written in the original columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.data.tables.files import read_table, written_table
from genkit.data.tables.kind import Tabular
from genkit.errors import DataError
from genkit.printing import shown


def read_rows(path: Path, spec: DataSpec | None) -> InMemory:
    """Rows of a CSV, TSV or parquet file as stored values (n, D) float64, labelled where the data is.

    Args:
        path: A file with the columns of the data in any order, and perhaps others.
        spec: The data.

    Raises:
        DataError: no spec of a table, a missing column, or a cell that the data cannot have.
    """
    if spec is None or not isinstance(spec.kind, Tabular):
        known = "" if spec is None else f", and the data is {spec.modality} data"
        raise DataError(f"{shown(path)}: a table{known}: say which with data=table data.root=FILE")
    table = spec.kind.table
    cells = table.read(read_table(path))
    y = None if spec.num_classes is None else torch.from_numpy(cells[:, table.predicted].astype(np.int64))
    return InMemory(spec.kind.vectors(cells), y)


@contextmanager
def written_rows(path: Path, spec: DataSpec) -> Iterator[Callable[[Tensor], None]]:
    """A function that appends stored values (n, D) to a CSV file of their rows; of other data, one that does nothing.

    Raises:
        StorageError: the file cannot be written.
    """
    kind = spec.kind
    if not isinstance(kind, Tabular):
        yield lambda v: None
        return
    with written_table(path, kind.table) as append:
        yield lambda v: append(kind.cells(v))
