"""Parquet files, read by pyarrow: an extra, since most tables are text."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from genkit.data.tables.text_table import TextColumn, TextTable, check_header
from genkit.errors import ConfigError, DataError
from genkit.printing import shown
from genkit.storage.regular import open_regular

INSTALL = "pip install 'genkit-toolkit[parquet]'"


def read_parquet(path: Path, drop: Collection[str] = ()) -> TextTable:
    """The table of a parquet file, its cells as texts, without the columns `drop`; nested ones are refused.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: unreadable, or columns that are no cells.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigError(f"{shown(path)}: a parquet file needs pyarrow: {INSTALL}, or write it as CSV") from error
    with open_regular(path, advice="name a CSV, TSV or parquet file (data.root=)") as file:
        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{shown(path)}: not a readable parquet file ({shown(error, 200)})") from error
    check_header(table.column_names, shown(path))
    kept = [(i, name) for i, name in enumerate(table.column_names) if name not in drop]
    columns = [_column(name, table.column(i), path) for i, name in kept]
    return TextTable(tuple(columns), shown(path))


def _column(name: str, values: Any, path: Path) -> TextColumn:
    import pyarrow as pa
    import pyarrow.types as kinds

    if kinds.is_nested(values.type) or kinds.is_binary(values.type) or kinds.is_large_binary(values.type):
        raise DataError(f"{shown(path)}: column {shown(name)} holds {values.type}, no cells: data.drop=[{shown(name)}]")
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    whole = whole if kinds.is_dictionary(whole.type) else whole.dictionary_encode()
    texts = ["", *map(_text, whole.dictionary.to_pylist())]
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    distinct, place = np.unique(np.array(texts, dtype=object), return_inverse=True)
    used, again = np.unique(place[codes], return_inverse=True)
    of_text = kinds.is_string(whole.dictionary.type) or kinds.is_large_string(whole.dictionary.type)
    return TextColumn(name, tuple(map(str, distinct[used])), again.astype(np.int64), quoted=of_text)


def _text(value: Any) -> str:
    """A cell as CSV would have it."""
    if value is None or value != value:
        return ""
    return str(value)
