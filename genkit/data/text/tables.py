"""Documents that stand in the first column of a table: a file of comma-separated values, compressed or not."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from genkit.data.source_files import SourceFiles
from genkit.data.text.corpus import Corpus, Document, readable
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import open_regular

Row = list[str]


class ColumnCorpus(Corpus):
    """The first cell of each row of a file, a document; the first line is no row.

    Args:
        path: The file; one whose name ends in .gz is unpacked while it is read.
        rows: Rows to take, from the first one on; None: all.
        chosen: Which rows to take of these; None: all. What it depends on stands in `reading`.
        reading: What `chosen` depends on.
    """

    alone = "give at least 3 different rows"

    def __init__(
        self, path: Path, rows: int | None, chosen: Callable[[Row], bool] | None = None, reading: object = None
    ) -> None:
        self.path, self.rows, self.chosen = path, rows, chosen
        self.files = SourceFiles(path, [path], ("first column", rows, reading))

    def documents(self) -> Iterator[Document]:
        name = shown(self.path)
        with open_regular(self.path) as raw, readable(name), _unpacked(raw, self.path.suffix) as file:
            lines = csv.reader(io.TextIOWrapper(file, "utf-8", newline=""))
            try:
                next(lines, None)
                for number, row in enumerate(islice(lines, self.rows)):
                    if row and (self.chosen is None or self.chosen(row)):
                        yield Document(f"{name}, row {number + 1:,}", partial(_text, row[0]))
            except (UnicodeDecodeError, csv.Error) as error:
                raise DataError(f"{name}: no table of UTF-8 text ({shown(error, 100)}): install it again") from error


def _unpacked(raw: BinaryIO, suffix: str) -> BinaryIO:
    return gzip.GzipFile(fileobj=raw) if suffix == ".gz" else raw  # type: ignore[return-value]


def _text(cell: str) -> Iterator[bytes]:
    return iter([cell.strip().encode()])
