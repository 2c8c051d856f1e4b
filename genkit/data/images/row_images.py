"""Images in the rows of Parquet or Arrow files, as Hugging Face `datasets` writes them: encoded, with a label column.

The image column is a struct with the field `bytes`, or plain bytes. Class names come from the features that `datasets`
notes in the schema, in their order; else they are the texts or numbers of the label column. Rows are read a few at a
time, so memory does not grow with a file or its row groups. Needs pyarrow (the extra `hf`).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from genkit.data.images.class_labels import NONE
from genkit.data.images.collection import EncodedImages, Skipped
from genkit.data.images.decoding import BadImage
from genkit.data.images.split_files import SplitFile, split_files
from genkit.data.source_files import SourceFiles
from genkit.errors import ConfigError, DataError
from genkit.printing import shown
from genkit.storage.regular import open_regular

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:  # the extra is not installed
    pa = pq = None

INSTALL = "pip install 'genkit-toolkit[hf]'"
ROWS = 64  # read together
BUFFER = 2**20  # bytes of a column chunk that are held
PARQUET, ARROW = ".parquet", ".arrow"
IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "png", "webp", "bytes")
LABEL_COLUMNS = ("label", "labels", "class", "cls", "target", "fine_label", "category")
MOST_NAMED = 8
WANTED = "give data.root=FOLDER of a saved dataset or of Parquet files, or one such file"


class RowImages(EncodedImages):
    """The images of some files.

    Args:
        root: Names the source in messages.
        files: In the order of their rows.
        image: The image column; None: the one that it can be.
        labels: The label column, or "none"; None: the usual one, if there is one.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: a file is damaged, or has no such column.
    """

    def __init__(self, root: Path, files: Sequence[SplitFile], image: str | None, labels: str | None) -> None:
        if pa is None:
            raise ConfigError(f"data=hub needs pyarrow: {INSTALL}")
        self.root, self.skipped = root, Skipped()
        self.files = SourceFiles(root, [file.path for file in files], ["rows", image, labels])
        self.readers = [reader_of(file.path) for file in files]
        columns = [Columns.of(reader, image, labels) for reader in self.readers]
        self.image = [found.image for found in columns]
        self.starts = [0, *accumulate(reader.n for reader in self.readers)]
        self.names = [
            f"{file.path.stem}[{i}]" for file, reader in zip(files, self.readers, strict=True) for i in range(reader.n)
        ]
        splits = [(file.split, reader.n) for file, reader in zip(files, self.readers, strict=True)]
        self.parts = [split for split, n in splits if split for _ in range(n)] or None
        labelled = all(found.label for found in columns)
        pairs = list(zip(self.readers, columns, strict=True)) if labelled else []
        self.classes = [name for reader, found in pairs for name in found.class_names(reader)] if labelled else None
        orders = {found.order for found in columns}
        self.order = orders.pop() if labelled and len(orders) == 1 else None
        self._rows: Iterator[bytes | None] = iter(())
        self._next = (-1, -1)  # file and row that the iterator gives next

    def read(self, i: int) -> bytes:
        number = bisect_right(self.starts, i) - 1
        row = i - self.starts[number]
        if self._next[0] != number or row < self._next[1]:
            self._rows, self._next = self.readers[number].values(self.image[number]), (number, 0)
        for _ in range(row - self._next[1] + 1):
            data = next(self._rows)
        self._next = (number, row + 1)
        if data is None:
            raise BadImage("no bytes in its row")
        return data

    def content(self) -> str:
        return self.files.content()

    def state(self) -> list[list[object]]:
        return self.files.state()


class RowReader(ABC):
    """The columns of a file.

    Attributes:
        path: The file.
        n: Number of rows.
        schema: Of the columns.
    """

    path: Path
    n: int
    schema: Any

    def values(self, column: str) -> Iterator[Any]:
        """The values of a column, or of the field "bytes" of a column of structs. Raises DataError."""
        with rows_errors(self.path):
            for batch in self._batches(column):
                values = batch.column(0)
                if pa.types.is_struct(values.type):
                    values = values.flatten()[values.type.get_field_index("bytes")]
                for low in range(0, len(values), ROWS):
                    yield from values.slice(low, ROWS).to_pylist()

    @abstractmethod
    def _batches(self, column: str) -> Iterator[Any]:
        """Batches of one column, in order."""


class ParquetRows(RowReader):
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
        self.n, self.schema = self.file.metadata.num_rows, self.file.schema_arrow

    def _batches(self, column: str) -> Iterator[Any]:
        return self.file.iter_batches(batch_size=ROWS, columns=[self._path(column)], use_threads=False)

    def group(self, number: int, column: str) -> Any:
        """The values of a column in one row group, or of its field "bytes", in one array of Arrow."""
        values = self.file.read_row_group(number, columns=[self._path(column)], use_threads=False).column(0)
        whole = values.combine_chunks()
        whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
        return whole.flatten()[whole.type.get_field_index("bytes")] if pa.types.is_struct(whole.type) else whole

    def _path(self, column: str) -> str:
        return f"{column}.bytes" if pa.types.is_struct(self.schema.field(column).type) else column


class ArrowRows(RowReader):
    """A file of Arrow's stream format, or of its file format; mapped, not read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n = sum(batch.num_rows for batch in self._all())

    def _all(self) -> Iterator[Any]:
        source = pa.memory_map(str(self.path))
        try:
            reader = pa.ipc.open_stream(source)
        except pa.ArrowInvalid:
            file = pa.ipc.open_file(source)
            self.schema = file.schema
            yield from (file.get_batch(i) for i in range(file.num_record_batches))
            return
        self.schema = reader.schema
        yield from reader

    def _batches(self, column: str) -> Iterator[Any]:
        return (batch.select([column]) for batch in self._all())


def reader_of(path: Path) -> RowReader:
    """The reader of a file, by its name. Raises DataError where it is damaged or no such file."""
    with open_regular(path, advice="name a Parquet or Arrow file") as file:
        empty = not file.read(1)
    if empty:
        raise DataError(f"{shown(path)}: an empty file: fetch it again, or take it out")
    with rows_errors(path):
        return ParquetRows(path) if path.suffix == PARQUET else ArrowRows(path)


@contextmanager
def rows_errors(path: Path) -> Iterator[None]:
    """Turns what pyarrow raises for a damaged file into one DataError with its path."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:100]
        raise DataError(f"{shown(path)}: not a readable {path.suffix} file ({said}): fetch it again") from error


@dataclass(frozen=True)
class Columns:
    """The columns of a file that are read.

    Attributes:
        image: Of images.
        label: Of labels, None without.
        order: Names of the classes by number, where the schema has them.
    """

    image: str
    label: str | None
    order: tuple[str, ...] | None

    @classmethod
    def of(cls, reader: RowReader, image: str | None, labels: str | None) -> Columns:
        """Those of a file. Raises DataError where it has none of that name, or several could be meant."""
        label = None if labels == NONE else _chosen(reader, "labels", labels, LABEL_COLUMNS, _is_label)
        found = _chosen(reader, "image", image, IMAGE_COLUMNS, _is_image)
        if found is None:
            raise DataError(
                f"{shown(reader.path)}: no column of images, which has their bytes; its columns are {_named(reader)}"
            )
        return cls(found, label, None if label is None else _order(reader, label))

    def class_names(self, reader: RowReader) -> list[str]:
        """The class of each row. Raises DataError where a row has none."""
        assert self.label is not None
        values = list(reader.values(self.label))
        most = None if self.order is None else len(self.order)
        for row, value in enumerate(values):
            if value is None or value == "" or (most is not None and not 0 <= value < most):
                raise DataError(
                    f"{shown(reader.path)}: row {row} has the {self.label} {value}, which is no class: leave such rows "
                    "out, or say data.labels=none"
                )
        return [str(value) if self.order is None else self.order[value] for value in values]


def _chosen(
    reader: RowReader, key: str, asked: str | None, usual: Sequence[str], fits: Callable[[Any], bool]
) -> str | None:
    """The column that the user named, else one of the usual names, else, of images, the only one."""
    columns = [name for name in reader.schema.names if fits(reader.schema.field(name).type)]
    if asked is not None:
        if asked not in columns:
            raise DataError(f"{shown(reader.path)}: no such column as data.{key}={asked}; it has {_named(reader)}")
        return asked
    found = next((name for name in usual if name in columns), None)
    if found is not None or key != "image" or not columns:
        return found
    if len(columns) > 1:
        raise DataError(f"{shown(reader.path)}: images in {', '.join(map(shown, columns))}: name one, data.image=…")
    return columns[0]


def _is_image(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _is_image(kind.field(at).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_label(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_label(kind.value_type)
    checks = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string)
    return any(check(kind) for check in checks)


def _order(reader: RowReader, label: str) -> tuple[str, ...] | None:
    """The class names that `datasets` noted for a column, by number."""
    try:
        known = json.loads((reader.schema.metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    whole = pa.types.is_integer(reader.schema.field(label).type)
    fine = isinstance(known, list) and all(isinstance(name, str) and name for name in known)
    return tuple(known) if whole and fine and len(set(known)) == len(known) else None


def _named(reader: RowReader) -> str:
    names = reader.schema.names
    return ", ".join(map(shown, names[:MOST_NAMED])) + (", …" if len(names) > MOST_NAMED else "")


def row_files(root: Path) -> list[SplitFile]:
    """The Parquet or Arrow files of a folder at any depth, or one file; errors as `split_files`."""
    return split_files(root, (PARQUET, ARROW), WANTED)
