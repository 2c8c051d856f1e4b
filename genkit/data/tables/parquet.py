"""Parquet files, read by pyarrow: an extra, since most tables are text."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from genkit.data.tables.text_table import TextColumn, TextTable, check_drop, check_header
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
    check_drop(table.column_names, drop, shown(path))
    kept = [(i, name) for i, name in enumerate(table.column_names) if name not in drop]
    columns = [_column(name, table.column(i), path) for i, name in kept]
    return TextTable(tuple(columns), shown(path))


def _column(name: str, values: Any, path: Path) -> TextColumn:
    import pyarrow as pa
    import pyarrow.types as kinds

    held = values.type.value_type if kinds.is_dictionary(values.type) else values.type
    if kinds.is_nested(held) or kinds.is_binary(held) or kinds.is_large_binary(held):
        raise DataError(f"{shown(path)}: column {shown(name)} holds {values.type}, no cells: data.drop=[{shown(name)}]")
    named = kinds.is_dictionary(values.type) or any(kind(held) for kind in (kinds.is_string, kinds.is_large_string))
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    whole = whole if kinds.is_dictionary(whole.type) else whole.dictionary_encode()
    try:
        texts = ["", *_texts(whole.dictionary)]
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise DataError(
            f"{shown(path)}: column {shown(name)} holds {values.type} that no text stands for ({shown(error, 100)}): "
            f"data.drop=[{shown(name)}]"
        ) from error
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    distinct, place = np.unique(np.array(texts, dtype=object), return_inverse=True)
    used, again = np.unique(place[codes], return_inverse=True)
    return TextColumn(name, tuple(map(str, distinct[used])), again.astype(np.int64), quoted=named)


def _texts(values: Any) -> list[str]:
    """Cells as CSV would have them; times of a column in one form."""
    import pyarrow as pa
    import pyarrow.types as kinds

    if not kinds.is_timestamp(values.type):
        return ["" if value is None or value != value else str(value) for value in values.to_pylist()]
    zone = values.type.tz
    times = values.cast(pa.timestamp("us", tz=zone and "UTC")).to_pylist()  # refuses nanoseconds rather than cut them
    fraction = ".%f" if any(time is not None and time.microsecond for time in times) else ""
    pattern = f"%Y-%m-%dT%H:%M:%S{fraction}Z" if zone else f"%Y-%m-%d %H:%M:%S{fraction}"
    return ["" if time is None else time.strftime(pattern) for time in times]
