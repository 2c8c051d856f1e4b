"""CSV and TSV files read by the standard library: encoding, delimiter, quotes.

UTF-8 with or without a byte-order mark, UTF-16 with one, or the encoding that the user names. The delimiter is the one
of `, ; tab |` that cuts the header into the most cells and most lines into as many. Quoted cells may hold
delimiters, quotes and line breaks. Quotes around numbers are lost in reading; whether a column's numbers had them is
seen from lines that are one record each.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genkit.data.tables.forms import is_number
from genkit.data.tables.text_table import MOST_ROWS, ColumnCollector, TextTable, check_header
from genkit.errors import ConfigError, DataError
from genkit.printing import shown
from genkit.storage.regular import read_regular

if TYPE_CHECKING:
    from _csv import Reader

WORDS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
DELIMITERS = tuple(WORDS)
NO_DELIMITERS = ('"', "\n", "\r", "\0")
LARGEST = 4 * 2**30  # bytes of a file
SNIFFED = 100  # records from which the delimiter is told
LOOKED_AT = 2_000  # records in which quotes are looked for
AT_ONCE = 4_096  # records handed to the columns together
LONGEST_CELL = 2**20  # characters

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_delimited(path: Path, delimiter: str | None = None, encoding: str = "utf-8") -> TextTable:
    """The table of a CSV or TSV file whose first line names the columns.

    Args:
        path: The file.
        delimiter: One character; None: a tab in a `.tsv`, elsewhere the one that its lines agree on.
        encoding: Of a file without a byte-order mark.

    Raises:
        DataError: unreadable, not in this encoding, no text, empty, or lines of different numbers of cells.
        ConfigError: no such encoding, or no delimiter.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in NO_DELIMITERS):
        raise ConfigError(f"data.delimiter={shown(repr(delimiter))}: one character, such as ';' or a tab (\"\\t\")")
    data = read_regular(path, LARGEST, advice="name a CSV, TSV or parquet file (data.root=)")
    text = _decoded(data, path, encoding)
    if not text.strip():
        raise DataError(f"{shown(path)}: an empty file: give a table with a header")
    _check_text(text, path)
    chosen = delimiter or ("\t" if path.suffix.lower() in (".tsv", ".tab") else delimiter_of(text))
    records = _records(text, chosen, path)
    _, header = next(records)
    names = tuple(name.strip() for name in header)
    check_header(names, shown(path))
    if len(names) == 1 and (better := delimiter_of(text)) != chosen and _agreed(text, better) > 1:
        said = f"data.delimiter={shown(chosen)}" if delimiter else "a tab between cells, as the file's name says,"
        raise DataError(
            f"{shown(path)}: {said} makes one column of it, and {WORDS[better]} makes {_agreed(text, better):,}: "
            f'data.delimiter="{better if better != chr(9) else chr(92) + "t"}"'
        )
    columns = [ColumnCollector(name) for name in names]
    while batch := list(islice(records, AT_ONCE)):
        for line, cells in batch:
            if len(cells) != len(names):
                raise DataError(
                    f"{shown(path)}: line {line:,} has {len(cells):,} and the header {len(names):,} cells: mend it, or "
                    "say what parts the cells (data.delimiter=)"
                )
        turned = zip(*(cells for _, cells in batch), strict=True)
        for column, down in zip(columns, turned, strict=True):
            column.extend(cell.strip() for cell in down)
        if batch[-1][0] > MOST_ROWS:
            raise DataError(f"{shown(path)}: more than {MOST_ROWS:,} lines, the most that are read")
    marked = quoted_columns(text, chosen, len(names))
    return TextTable(tuple(c.column(q) for c, q in zip(columns, marked, strict=True)), shown(path))


def _check_text(text: str, path: Path) -> None:
    """Raises DataError for zero characters, which no text has: they are of a binary file, or of another encoding."""
    at = text.find("\0")
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        raise DataError(
            f"{shown(path)}: line {line:,} holds zero bytes, which no text has: give a CSV, TSV or parquet file, or "
            "its encoding (data.encoding=utf-16-le)"
        )


def _decoded(data: bytes, path: Path, encoding: str) -> str:
    named = encoding
    for mark, meant in MARKS:
        if data.startswith(mark):
            encoding = meant
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise ConfigError(f"data.encoding={shown(encoding)}: no such encoding; try utf-8, latin-1 or cp1252") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        advice = "data.encoding=latin-1 reads any file" if named == "utf-8" else "name another one"
        raise DataError(
            f"{shown(path)}: line {line:,} is not {encoding} (byte 0x{data[error.start]:02x}): save the file as UTF-8, "
            f"or say its encoding ({advice})"
        ) from error


def csv_reader(text: str, delimiter: str, quoting: Literal[0, 3] = csv.QUOTE_MINIMAL) -> Reader:
    """The standard library's reader of a text, which refuses quotes that do not close."""
    csv.field_size_limit(LONGEST_CELL)
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=delimiter, quoting=quoting, skipinitialspace=True, strict=True)


def _records(text: str, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number of the last line of each record, and its cells; empty lines are passed over."""
    reader = csv_reader(text, delimiter)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(
            f"{shown(path)}: line {reader.line_num:,}: {error}: mend its quotes, or say what parts the cells "
            "(data.delimiter=)"
        ) from error


def delimiter_of(text: str) -> str:
    """The delimiter that cuts the header into the most cells, and most records into as many; else a comma."""
    counts = {delimiter: _agreed(text, delimiter) for delimiter in DELIMITERS}
    return max(DELIMITERS, key=lambda delimiter: counts[delimiter])


def _agreed(text: str, delimiter: str) -> int:
    """Number of cells of the header where most of the first records have as many, else 1."""
    found: list[int] = []
    with suppress(csv.Error):
        for cells in islice(csv_reader(text, delimiter), SNIFFED):
            found += [len(cells)] if cells else []
    return found[0] if found and 2 * found.count(found[0]) > len(found) else 1


def quoted_columns(text: str, delimiter: str, width: int) -> list[bool]:
    """For each column, whether its numbers stand in quotes, where those of another column do not.

    A record on a line of its own is cut a second time without regard to quotes; where that gives as many cells, a
    quoted one begins with its quote. Where every number of a file is quoted, quotes mean nothing.
    """
    if '"' not in text:
        return [False] * width
    quoted, plain = [0] * width, [0] * width
    lines = list(islice(io.StringIO(text, newline=None), 1, LOOKED_AT))
    for cells in csv_reader("".join(line for line in lines if line.count('"') % 2 == 0), delimiter, csv.QUOTE_NONE):
        if len(cells) != width:
            continue
        for i, cell in enumerate(cells):
            bare = cell.strip()
            if is_number(bare.strip('"')):
                (quoted if bare.startswith('"') else plain)[i] += 1
    others = [sum(plain) - own for own in plain]
    return [bool(q) and not p and bool(rest) for q, p, rest in zip(quoted, plain, others, strict=True)]
