"""Tables: CSV, TSV and parquet files of numeric, integer, categorical, ordinal and date columns, cells missing or not.

The rows are encoded as vectors (`genkit.data.tables`), so that every model of vectors trains on them, and decoded to
rows of the same columns. Two tables that scikit-learn carries need no file: `wine` (178 rows of 13 numbers and a class)
and `breast_cancer` (569 of 30 and a class).

Sources: Aeberhard & Forina, Wine, UCI 1991; Wolberg, Mangasarian, Street & Street, Breast Cancer Wisconsin
(Diagnostic), UCI 1993, by way of `sklearn.datasets`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch

from genkit.component import PositiveInt, Range
from genkit.data.batch_size import default_batch_size
from genkit.data.dataset import Dataset, SplitName
from genkit.data.provenance import Provenance
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.data.tables.embedded import CLASS, embedded_table
from genkit.data.tables.files import read_table
from genkit.data.tables.fitting import fitted
from genkit.data.tables.forms import LevelForm
from genkit.data.tables.inference import typed
from genkit.data.tables.kind import Tabular
from genkit.data.tables.row_splits import split_rows
from genkit.data.tables.table_spec import ColumnKind, TableSpec
from genkit.data.tables.text_table import TextTable, listed
from genkit.errors import ConfigError, DataError
from genkit.printing import shown

Share = Annotated[float, Range(0.0, 0.9)]

Word = str | int | float  # a text that looks like a number is one on the command line

MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
MOST_WIDTH = 65_536
MOST_SCORED = 10_000


class Table(Dataset):
    """Rows of a table, encoded as vectors.

    Equal rows fall on one side of the splits, which a hash of the rows decides. Levels and ranges are those of all
    rows, shares and quantiles those of the training rows.

    Args:
        root: A CSV, TSV or parquet file; None takes an embedded table.
        name: The embedded table.
        columns: Kinds of columns by name, where the inferred ones are wrong; a list of texts is an ordinal column with
            its levels in order.
        target: The column that the others are to predict; where it is categorical it labels the rows. None: the last
            column is to be predicted, and labels the rows of an embedded table alone.
        drop: Columns that are left out.
        missing: Texts of missing cells; case does not count.
        delimiter: Between the cells of a CSV file; None: the one that its lines agree on.
        encoding: Of a CSV file without a byte-order mark.
        val, test: Shares of the rows for validation and test.
        batch_size: Rows in one training micro-batch; None: by the width of the encoded rows.
    """

    def __init__(
        self,
        root: str | None = None,
        name: Literal["wine", "breast_cancer"] = "wine",
        columns: Mapping[Word, ColumnKind | tuple[Word, ...]] | None = None,
        target: Word | None = None,
        drop: Word | tuple[Word, ...] = (),
        missing: Word | tuple[Word, ...] = MISSING,
        delimiter: str | None = None,
        encoding: str = "utf-8",
        val: Share = 0.1,
        test: Share = 0.1,
        batch_size: PositiveInt | None = None,
    ) -> None:
        if val + test >= 1:
            raise ConfigError(f"data.val={val:g} data.test={test:g}: nothing is left for training: lower one of them")
        choices = {str(name): kind if isinstance(kind, str) else _texts(kind) for name, kind in (columns or {}).items()}
        said, dropped = None if target is None else str(target), _texts(drop)
        if said in dropped:
            raise DataError(f"data.target={shown(said)}: data.drop= leaves it out: name another target, or keep it")
        if root is None:
            table, said = embedded_table(name).without(dropped), said or (None if CLASS in dropped else CLASS)
        else:
            table = read_table(Path(root), delimiter, encoding, dropped)
        _check_names(table, choices, said)
        gone = frozenset(text.casefold() for text in _texts(missing))
        self.columns = [typed(column, gone, choices.get(column.name)) for column in table.columns]
        self.rows = split_rows(table, val, test)
        trained = np.zeros(len(table), dtype=bool)
        trained[self.rows["train"]] = True
        self.table = TableSpec(tuple(fitted(column, trained) for column in self.columns), said, tuple(sorted(gone)))
        if not 0 < self.table.width <= MOST_WIDTH:
            raise DataError(_unlearnable(self.table, table.source))
        cells = np.stack([column.cells for column in self.columns], 1)
        x = torch.from_numpy(self.table.encode(cells))
        y, classes = self._labels(said)
        kind = Tabular(table=self.table)
        self.spec = DataSpec((self.table.width,), "vector", num_classes=classes, kind=kind)
        every = InMemory(x, y)
        self.splits = {split: every[torch.from_numpy(rows)] for split, rows in self.rows.items()}
        self.batch_size = batch_size or default_batch_size(self.spec)
        # of all training rows there is one draw alone, whose floor would have no spread
        self.eval_n = min(len(self.rows["test"]), max(len(self.rows["train"]) // 2, 1), MOST_SCORED)
        self.notice = self._decided(table.source)

    def split(self, name: SplitName) -> Split:
        return self.splits[name]

    @property
    def provenance(self) -> Provenance:
        return Provenance(class_names=self.spec.kind.label_names)

    @cached_property
    def cells(self) -> dict[SplitName, np.ndarray]:
        """The cells (n, columns) of each split in numbers, NaN where they are missing."""
        whole = np.stack([column.cells for column in self.columns], 1)
        return {split: whole[rows] for split, rows in self.rows.items()}

    def _labels(self, target: str | None) -> tuple[torch.Tensor | None, int | None]:
        """Labels (n,) and their number; None where the target is no list of levels."""
        column = next((column for column in self.columns if column.name == target), None)
        if column is None or not isinstance(column.form, LevelForm):
            return None, None
        levels = len(column.form.texts)
        if np.isnan(column.cells).any():
            raise DataError(f"data.target={shown(column.name)}: some of its cells are missing: leave such rows out")
        if levels < 2:
            only = shown(column.form.texts[0])
            raise DataError(
                f"data.target={shown(column.name)}: every row is {only}, which labels nothing: choose another"
            )
        return torch.from_numpy(column.cells.astype(np.int64)), levels

    def _decided(self, source: str) -> str:
        """Say in one line what the file was taken for."""
        kinds = Counter(column.kind for column in self.columns)
        words = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        gone = int(sum(np.isnan(column.cells).sum() for column in self.columns))
        sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in self.rows.items())
        missing = f"; {gone:,} missing cells" if gone else ""
        width = f"{self.table.width:,} values a row"
        n = sum(map(len, self.rows.values()))
        return f"{source}: {n:,} rows ({sizes}) of {len(self.columns):,} columns ({words}){missing} -> {width}"


def _texts(words: Word | tuple[Word, ...]) -> tuple[str, ...]:
    """One word or several as texts."""
    return tuple(map(str, words)) if isinstance(words, tuple) else (str(words),)


def _check_names(table: TextTable, columns: Mapping[str, object], target: str | None) -> None:
    """Raises DataError for a name that is no column's."""
    for key, name in (*(("data.columns", name) for name in columns), ("data.target", target)):
        if name is not None and name not in table.names:
            raise DataError(f"{key}: {table.source} has no column {shown(name)}; it has {listed(table.names)}")


def _unlearnable(table: TableSpec, source: str) -> str:
    if table.width:
        wide = max(table.columns, key=lambda column: column.code.width)
        return (
            f"{source}: {table.width:,} values a row, the most are {MOST_WIDTH:,}: leave wide columns out, as "
            f"data.drop=[{shown(wide.name)}]"
        )
    return f"{source}: every column is the same in all rows: there is nothing to learn"
