"""Splits larger than memory: one array on disk, prepared once from any source and read by index.

    <cache>/splits/<name>/x.npy           values (N, *shape), uint8, int64 or float32
                          y.npy           labels (N,) int64, where there are any
                          manifest.json   what was prepared from what, and the hashes of both

The cache is `$GENKIT_CACHE`, else `$XDG_CACHE_HOME/genkit`, else `~/.cache/genkit`. A name is the sha256 of the facts
of source and preparation, so other files or another size of picture have another name. The folder appears whole or not
at all: of two processes that prepare the same at once, one gives its folder the name and both read that one. On
opening, manifest, headers, sizes and values are compared with what was written; what was damaged since is prepared
again.

Examples are read by their offset (pread), not through a map. A map's pages count as the process's own until the system
takes them back, and to touch one beyond the end of a file that was cut ends the process; here it is a short read, an
error. The system keeps in memory what there is room for either way.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit.data.split import Examples, Split, Subset, content_hash, empty_hash
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.atomic import discard, publish, sweep, temporary_folder, write_file
from genkit.storage.disk import require_free_disk, storage_errors, user_folder
from genkit.storage.held import hold
from genkit.storage.regular import open_regular, read_regular, size_of

FORMAT = "genkit.split/1"
VALUES, LABELS, MANIFEST = "x.npy", "y.npy", "manifest.json"
TYPES = {"uint8": torch.uint8, "int64": torch.int64, "float32": torch.float32}
LARGEST = 2**24  # bytes of a manifest
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
DAMAGED = "not what was prepared"

Source = Iterable[Examples] | Callable[[], Iterable[Examples]]


@dataclass(frozen=True)
class Layout:
    """Description of a prepared array.

    Attributes:
        n: N, the number of examples, 1 or more.
        shape: Of one example, channels first.
        dtype: "uint8", "int64" or "float32".
        labelled: Whether there are labels.
    """

    n: int
    shape: tuple[int, ...]
    dtype: str = "uint8"
    labelled: bool = False

    @property
    def bytes(self) -> int:
        """Of values and labels."""
        return self.n * (prod(self.shape) * TYPES[self.dtype].itemsize + 8 * self.labelled)


def files_facts(files: Iterable[Path]) -> list[list[Any]]:
    """Facts of source files: the name, size in bytes and time of change of each, in nanoseconds.

    Raises:
        DataError: one is missing or cannot be asked.
    """
    facts = []
    for file in files:
        try:
            state = file.stat()
        except OSError as error:
            raise DataError(f"{shown(file)}: cannot be read ({error.strerror}): name another file") from error
        facts.append([file.name, state.st_size, state.st_mtime_ns])
    return facts


def aloud(line: str) -> None:
    """A line to the user."""
    print(f"genkit: {line}", file=sys.stderr, flush=True)


def prepared(
    source: Source,
    layout: Layout,
    facts: Mapping[str, Any],
    *,
    folder: Path | None = None,
    say: Callable[[str], None] = aloud,
) -> OnDisk:
    """The split of a source, prepared now or found as it was prepared before.

    Args:
        source: Batches of examples that come to those of `layout`, or what gives them; asked only to prepare.
        layout: What they are.
        facts: All that the values depend on, as JSON knows it: the source (see `files_facts`) and what is done to it.
        folder: Where prepared splits lie; by default in the user's cache.
        say: Receives a line where something is prepared, or prepared again.

    Raises:
        DataError: the source gives something else, or no example.
        StorageError: the disk lacks room or refuses.
    """
    if layout.n < 1 or layout.dtype not in TYPES:
        raise DataError(f"{layout.n:,} examples of type {layout.dtype}: give one or more of type {', '.join(TYPES)}")
    about = {"format": FORMAT, "facts": dict(facts), "layout": asdict(layout)}
    name = hashlib.sha256(_json(about)).hexdigest()
    place = (folder or user_folder() / "splits") / name
    with storage_errors(place, layout.bytes):
        if place.exists():
            try:
                return _held(place, layout, about)
            except DataError as error:
                say(f"{error}: it is prepared again")
                with suppress(FileNotFoundError):  # another process was quicker
                    discard(place)
        say(f"{shown(place)}: preparing {layout.n:,} examples, {layout.bytes:,} bytes")
        require_free_disk(layout.bytes, place, "set GENKIT_CACHE to a folder on a larger disk")
        place.parent.mkdir(parents=True, exist_ok=True)
        sweep(place.parent)
        with temporary_folder(place) as temporary:
            write_split(temporary, source() if callable(source) else source, layout, about)
            try:
                publish((temporary, place))
            except OSError as error:
                if error.errno not in TAKEN:
                    raise  # else another process was quicker
        return _held(place, layout, about)


def _held(place: Path, layout: Layout, about: Mapping[str, Any]) -> OnDisk:
    """A prepared split that this process uses from now on."""
    hold(place, "")
    return OnDisk(place, layout, about)


class OnDisk(Split):
    """A split whose values lie in a file; made by `prepared`, or by `write_split`.

    Args:
        folder: What was prepared; all of it is read and verified.
        layout: What it should be.
        about: What it was prepared from, as it was written.

    Raises:
        DataError: it is damaged, or was changed.
    """

    def __init__(self, folder: Path, layout: Layout, about: Mapping[str, Any]) -> None:
        self.path, self.layout = folder / VALUES, layout
        self.shape, self.dtype = layout.shape, TYPES[layout.dtype]
        hashes = _hashes(folder, about)
        self._rows = _Rows(folder / VALUES, (layout.n, *layout.shape), layout.dtype)
        self._labels = None
        if layout.labelled:
            y = _Rows(folder / LABELS, (layout.n,), "int64")
            self._labels = y.between(0, layout.n)
        found = {"values": self.values_hash, "labels": None if self._labels is None else content_hash(self._labels)}
        if found != hashes:
            raise DataError(f"{shown(folder)}: {DAMAGED}")

    @property
    def labels(self) -> Tensor | None:
        return self._labels

    def __len__(self) -> int:
        return self.layout.n

    def take(self, index: Tensor) -> Examples:
        """Raises DataError where the file was cut meanwhile."""
        return Examples(self._rows.take(index), None if self._labels is None else self._labels.index_select(0, index))

    def between(self, low: int, high: int) -> Examples:
        """Raises DataError where the file was cut meanwhile."""
        return Examples(self._rows.between(low, high), None if self._labels is None else self._labels[low:high])

    def __getitem__(self, index: Tensor) -> Subset:
        return Subset(self, torch.arange(len(self))[index])


class _Rows:
    """The rows of an array file whose header and size are what they should be; open as long as this lives."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: str) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self.width = prod(shape[1:]) * self.dtype.itemsize
        header = _header(shape, dtype)
        self.start = len(header)
        with open_regular(path, inside=path.parent) as file:
            if file.read(len(header)) != header or size_of(file) != len(header) + shape[0] * self.width:
                raise DataError(f"{shown(path)}: {DAMAGED}")
            self.descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.descriptor)

    def take(self, index: Tensor) -> Tensor:
        """The rows `index` (B,); those that follow each other in index and file are read together."""
        rows = index.numpy()
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.shape[0]):
            raise IndexError(f"rows {rows.min()} … {rows.max()} of {self.shape[0]}")
        out = np.empty((len(rows), self.width), np.uint8)
        firsts = np.flatnonzero(np.diff(rows, prepend=-2) != 1).tolist()
        for low, high in pairwise([*firsts, len(rows)]):
            self._read(int(rows[low]), out[low:high])
        return self._values(out)

    def between(self, low: int, high: int) -> Tensor:
        out = np.empty((high - low, self.width), np.uint8)
        self._read(low, out)
        return self._values(out)

    def _read(self, row: int, into: NDArray[np.uint8]) -> None:
        view, at = into.reshape(-1).data, self.start + row * self.width
        while len(view):
            if not (count := os.preadv(self.descriptor, (view,), at)):
                raise DataError(f"{shown(self.path)}: was cut while it was in use: begin again")
            view, at = view[count:], at + count

    def _values(self, rows: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(rows.reshape(-1).view(self.dtype).reshape(len(rows), *self.shape[1:]))


def write_split(folder: Path, batches: Iterable[Examples], layout: Layout, about: Mapping[str, Any]) -> str:
    """Write the files of a split into a new folder; returns the hash of its values.

    Args:
        folder: Is there and empty.
        batches: The examples.
        layout: What they come to.
        about: What they are made from; `OnDisk` is given the same.

    Raises:
        DataError: the batches come to something else.
    """
    labels: list[Tensor] = []
    digest = empty_hash((layout.n, *layout.shape), TYPES[layout.dtype])

    def chunks() -> Iterator[bytes | memoryview]:
        yield _header((layout.n, *layout.shape), layout.dtype)
        count = 0
        for batch in _read(batches):
            _check(batch, layout)
            values = batch.x.contiguous().numpy().reshape(-1).view(np.uint8).data
            count += len(batch)
            if count > layout.n:
                break
            labels.extend([] if batch.y is None else [batch.y])
            digest.update(values)
            yield values
        if count != layout.n:
            more = "more" if count > layout.n else f"{count:,}"
            raise DataError(f"{shown(folder)}: {layout.n:,} examples were to be prepared and the source gave {more}")

    write_file(folder / VALUES, chunks())
    hashes: dict[str, str | None] = {"values": digest.hexdigest(), "labels": None}
    if layout.labelled:
        y = torch.cat(labels)
        write_file(folder / LABELS, [_header((layout.n,), "int64"), y.numpy().tobytes()])
        hashes["labels"] = content_hash(y)
    write_file(folder / MANIFEST, [_json({**about, "sha256": hashes})])
    return digest.hexdigest()


def _read(batches: Iterable[Examples]) -> Iterator[Examples]:
    """The batches of a source, whose own trouble with files is none of the cache's."""
    try:
        yield from batches
    except OSError as error:
        raise DataError(f"the source of a split cannot be read: {error}") from error


def _check(batch: Examples, layout: Layout) -> None:
    """Raises DataError where a batch is not of the layout."""
    found = (tuple(batch.x.shape[1:]), str(batch.x.dtype).removeprefix("torch."))
    if found != (layout.shape, layout.dtype):
        raise DataError(f"examples of {layout.shape} {layout.dtype} were to be prepared, the source gave {found}")
    y = batch.y
    if (y is not None) != layout.labelled or (y is not None and (y.dtype != torch.int64 or y.shape != (len(batch),))):
        raise DataError(f"the source must give {'int64 labels with its examples' if layout.labelled else 'no labels'}")


def _hashes(folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """The hashes in the manifest, which says that the folder holds what was made from this."""
    damaged = DataError(f"{shown(folder)}: {DAMAGED}")
    try:
        known = json.loads(read_regular(folder / MANIFEST, LARGEST, inside=folder))
        hashes = known.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise damaged from error
    if known != json.loads(_json(about)) or not isinstance(hashes, dict):
        raise damaged
    return hashes


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    """The start of an `.npy` file."""
    start = BytesIO()
    described = np.lib.format.dtype_to_descr(np.dtype(dtype).newbyteorder("<"))
    np.lib.format.write_array_header_1_0(start, {"descr": described, "fortran_order": False, "shape": shape})
    return start.getvalue()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, allow_nan=False).encode()
