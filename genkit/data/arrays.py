"""Read untrusted `.npy` and `.npz` files: type, shape and size are checked before any array is read.

An array is read whole, or by its rows where it may be larger than memory (see `genkit.data.array_rows`).

An `.npz` is a zip archive of `.npy` members; an `.npy` is a short header, which declares type and shape, and then the
values. The header is compared with what the file holds, so a few bytes that declare terabytes cost nothing. Nothing is
unpickled, nothing waits (see `genkit.storage.regular`), and what is wrong with a file is one DataError that names it.
"""

from __future__ import annotations

import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import open_regular, size_of
from genkit.storage.zip_members import start_of

Array = NDArray[np.generic]

NPY, ZIP = b"\x93NUMPY", (b"PK\x03\x04", b"PK\x05\x06")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
MOST_DEFLATED = 1032  # bytes that one byte of a deflate stream can stand for
CHUNK = 2**24  # bytes read at once
ALONE = "x"  # what the array of an `.npy` is called here

# What a damaged archive, stream or header makes the libraries raise.
DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, SyntaxError, OverflowError, RecursionError, RuntimeError),
    *(struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError),
)


@dataclass(frozen=True)
class ArrayHeader:
    """The header of an `.npy`: type, shape, and whether the first index varies fastest."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class ArrayPlace:
    """The place of an array in its file.

    Attributes:
        header: Type and shape.
        offset: Of the first value in the file, None where the array is compressed.
        before: Bytes of the header, before the first value.
    """

    header: ArrayHeader
    offset: int | None
    before: int


class ArrayFile:
    """The arrays of one file, by name; an `.npy` has one, called "x".

    Arguments:
        path: For messages.
        file: Opened, and open as long as this is used.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file
        start = file.read(len(NPY))
        file.seek(0)
        if start[:4] not in ZIP and start != NPY:
            raise self.unreadable("neither an .npz nor an .npy")
        self.archive = zipfile.ZipFile(file) if start != NPY else None

    @property
    def names(self) -> list[str]:
        if self.archive is None:
            return [ALONE]
        return [name.removesuffix(".npy") for name in self.archive.namelist() if name.endswith(".npy")]

    def declared(self, name: str) -> ArrayHeader:
        """The header of an array. Raises DataError where it does not fit what the file holds."""
        with self._entry(name) as (entry, held):
            return self._header(name, entry, held)

    def place(self, name: str) -> ArrayPlace:
        """The place of an array, which may be larger than memory. Raises DataError as `declared`."""
        with self._entry(name) as (entry, held):
            header = self._header(name, entry, held, in_memory=False)
            before = entry.tell()
        if self.archive is None:
            return ArrayPlace(header, before, before)
        info = self.archive.getinfo(f"{name}.npy")
        stored = info.compress_type == zipfile.ZIP_STORED
        return ArrayPlace(header, start_of(self.file.fileno(), info) + before if stored else None, before)

    def stream(self, name: str) -> IO[bytes]:
        """The unpacked bytes of a member of an archive, header and values."""
        assert self.archive is not None
        return self.archive.open(f"{name}.npy")

    def read(self, name: str) -> Array:
        """An array, as it was declared. Raises DataError where the file is damaged."""
        with self._entry(name) as (entry, held):
            declared = self._header(name, entry, held)
            values = np.empty(declared.bytes, np.uint8)
            view, got = memoryview(values.data), 0
            while got < len(view):
                if not (more := entry.readinto(view[got : got + CHUNK])):  # type: ignore[attr-defined]
                    raise self.unreadable(f"{name} ends before its {declared.bytes:,} bytes")
                got += more
            entry.read(1)  # only at its end is a member's checksum compared
        flat = values.view(declared.dtype) if declared.bytes else np.empty(0, declared.dtype)
        return flat.reshape(declared.shape[::-1]).T if declared.fortran else flat.reshape(declared.shape)

    @contextmanager
    def _entry(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        """The stream of an array, and how many bytes it has."""
        if self.archive is None:
            self.file.seek(0)
            yield self.file, size_of(self.file)
            return
        info = self.archive.getinfo(f"{name}.npy")
        if info.flag_bits & 1:
            raise self.unreadable("encrypted; save it without a password")
        if info.compress_type not in METHODS:
            raise self.unreadable("compressed by a method that NumPy does not write; save it with numpy.savez")
        if info.file_size > MOST_DEFLATED * info.compress_size + CHUNK:
            raise self.unreadable(f"{name} cannot decompress to {info.file_size:,} bytes")
        with self.archive.open(info) as entry:
            yield entry, info.file_size

    def _header(self, name: str, entry: IO[bytes], held: int, in_memory: bool = True) -> ArrayHeader:
        version = np.lib.format.read_magic(entry)
        if version != (1, 0):  # longer headers are those of records, which are no samples
            raise self.unreadable(f"{name} has a header of version {version}")
        with warnings.catch_warnings(action="ignore"):  # of a header that Python 2 wrote
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(entry)
        if dtype.hasobject:
            raise self.unreadable(f"{name} holds pickled objects")
        declared = ArrayHeader(dtype, shape, fortran)
        if min(shape, default=0) < 0 or (in_memory and declared.bytes > _memory()):
            raise DataError(
                f"{shown(self.path)}: declares an array that the memory cannot hold ({name} of shape {_short(shape)})"
            )
        if (rest := held - entry.tell()) < declared.bytes or (self.archive and rest > declared.bytes):
            raise self.unreadable(f"{name} declares {declared.bytes:,} bytes and has {rest:,}")
        return declared

    def unreadable(self, why: str) -> DataError:
        return DataError(f"{shown(self.path)}: not a readable .npz or .npy file without pickled objects: {why}")


@contextmanager
def open_arrays(path: Path, advice: str) -> Iterator[ArrayFile]:
    """The arrays of an `.npz` or `.npy` file.

    Raises:
        DataError: no regular file, damaged, or not of this kind; `advice` says what to give instead.
    """
    with open_regular(path, advice=advice) as file, array_errors(path):
        yield ArrayFile(path, file)


@contextmanager
def array_errors(path: Path) -> Iterator[None]:
    """Turns what reading an `.npz` or `.npy` file raises into one DataError with its path."""
    try:
        yield
    except MemoryError as error:
        raise DataError(f"{shown(path)}: declares an array that the memory cannot hold") from error
    except DAMAGE as error:
        said = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(f"{shown(path)}: not a readable .npz or .npy file without pickled objects: {said}") from error


def _memory() -> int:
    """Bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # a system that does not tell
        return 2**62


def _short(shape: tuple[int, ...]) -> str:
    return str(shape)[:60]
