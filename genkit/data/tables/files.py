"""Tables in files: read by what the name ends in, written as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from genkit.data.tables.codes import Floats
from genkit.data.tables.delimited import read_delimited
from genkit.data.tables.table_spec import TableSpec
from genkit.data.tables.text_table import TextTable
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.atomic import whole_file

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
PARQUET = (".parquet", ".pq")
TABLES = (*DELIMITED, *PARQUET)


def is_table(path: Path) -> bool:
    """Tell whether a file is a table by its name."""
    return path.suffix.lower() in TABLES


def read_table(
    path: Path, delimiter: str | None = None, encoding: str = "utf-8", drop: Collection[str] = ()
) -> TextTable:
    """The table of a CSV, TSV or parquet file, without the columns `drop`.

    Raises:
        DataError: no such file, or no table in it.
    """
    if path.is_dir():
        raise DataError(f"{shown(path)}: a folder: name one CSV, TSV or parquet file in it")
    if not is_table(path):
        raise DataError(f"{shown(path)}: no table by its name: {', '.join(TABLES)} are read")
    if path.suffix.lower() in PARQUET:
        from genkit.data.tables.parquet import read_parquet  # another package, which is not always there

        return read_parquet(path, drop)
    return read_delimited(path, delimiter, encoding).without(drop)


@contextmanager
def written_table(path: Path, table: TableSpec) -> Iterator[Callable[[Floats], None]]:
    """A CSV file with a header, and what appends cells (n, columns) to it; it appears whole or not at all.

    Raises:
        StorageError: the file cannot be written.
    """
    with whole_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table.names)
        yield lambda cells: writer.writerows(zip(*table.write(cells), strict=True))
        text.detach()
