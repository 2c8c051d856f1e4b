"""The rows of an array that lies in a file, a few at a time, so that the array may be larger than memory.

What NumPy or safetensors stored as it is, is read by its offset. A compressed array is unpacked from front to back;
who asks for its rows in their order reads it once.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from genkit.data.arrays import Array, ArrayFile, ArrayHeader, array_errors
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import open_regular

BLOCK = 2**22  # bytes of rows that are read together
SKIPPED = 2**20  # bytes unpacked at once where they are passed by
LARGEST_TURNED = 2**30  # bytes of a compressed array whose first index varies fastest, which is read whole


class ArrayRows(ABC):
    """Rows of an array.

    Attributes:
        shape: (n, …) of all of it.
        dtype: Of a value.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def between(self, low: int, high: int) -> Array:
        """The rows low … high − 1, 0 ≤ low ≤ high ≤ n. Raises DataError where the file is damaged."""

    @property
    def block(self) -> int:
        """Number of rows in BLOCK bytes."""
        return max(1, BLOCK // max(1, prod(self.shape[1:]) * self.dtype.itemsize))


class InMemoryRows(ArrayRows):
    """Rows of an array in memory."""

    def __init__(self, values: Array) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def between(self, low: int, high: int) -> Array:
        return self.values[low:high]


class StoredRows(ArrayRows):
    """Rows of an array that lies in a file as it is.

    Args:
        path: For messages.
        file: Open as long as this is used.
        offset: Of the first value.
        header: Type, shape and order.
    """

    def __init__(self, path: Path, file: BinaryIO, offset: int, header: ArrayHeader) -> None:
        self.path, self.file, self.offset, self.fortran = path, file, offset, header.fortran
        self.shape, self.dtype = header.shape, header.dtype

    def between(self, low: int, high: int) -> Array:
        rest = self.shape[1:]
        if not self.fortran:
            flat = np.empty((high - low) * prod(rest), self.dtype)
            self._read(flat, low * prod(rest))
            return flat.reshape(high - low, *rest)
        columns = np.empty((prod(rest), high - low), self.dtype)
        for number, column in enumerate(columns):
            self._read(column, number * len(self) + low)
        return columns.reshape(*rest[::-1], high - low).T

    def _read(self, into: Array, first: int) -> None:
        """The values from number `first` on."""
        if not into.nbytes:
            return
        view, at = memoryview(into.view(np.uint8).data), self.offset + first * self.dtype.itemsize
        while len(view):
            if not (count := os.preadv(self.file.fileno(), (view,), at)):
                raise DataError(f"{shown(self.path)}: was cut while it was read: begin again")
            view, at = view[count:], at + count


class PackedRows(ArrayRows):
    """Rows of a compressed array, unpacked from front to back.

    Args:
        path: For messages.
        stream: Opens the array's bytes.
        before: Number of them before the first value.
        header: Type and shape; the last index varies fastest.
    """

    def __init__(self, path: Path, stream: Callable[[], IO[bytes]], before: int, header: ArrayHeader) -> None:
        self.path, self.stream, self.before = path, stream, before
        self.shape, self.dtype = header.shape, header.dtype
        self._open: IO[bytes] | None = None
        self._row = 0

    def between(self, low: int, high: int) -> Array:
        width = prod(self.shape[1:]) * self.dtype.itemsize
        with array_errors(self.path):
            if self._open is None or low < self._row:
                self._open, self._row = self.stream(), 0
                self._skip(self._open, self.before)
            self._skip(self._open, (low - self._row) * width)
            data = self._open.read((high - low) * width)
            self._row = high
        if len(data) < (high - low) * width:
            raise DataError(f"{shown(self.path)}: ends before its {len(self):,} rows: make it again")
        return np.frombuffer(data, self.dtype).reshape(high - low, *self.shape[1:])

    def _skip(self, stream: IO[bytes], count: int) -> None:
        while count and (data := stream.read(min(count, SKIPPED))):
            count -= len(data)


class TensorRows(ArrayRows):
    """Rows of a tensor of a safetensors file, half precision as float32."""

    def __init__(self, path: Path, part: Any) -> None:
        self.path, self.part = path, part
        self.shape = tuple(part.get_shape())
        self.dtype = _as_numpy(torch.empty(0, dtype=_torch_type(path, part))).dtype

    def between(self, low: int, high: int) -> Array:
        try:
            return _as_numpy(self.part[low:high])
        except SafetensorError as error:
            raise DataError(f"{shown(self.path)}: damaged ({error}): make it again") from error


class NamedRows:
    """The arrays of a file by name: `.npy` ("x"), `.npz` or safetensors.

    Args:
        path: The file.
        advice: What to give where it is none of these.

    Raises:
        DataError: damaged, or another kind of file.
    """

    def __init__(self, path: Path, advice: str) -> None:
        self.path = path
        with open_regular(path, advice=advice) as file:
            start = file.read(8)
            self.tensors = path.suffix == ".safetensors" and start[:4] != b"PK\x03\x04"
            if self.tensors:
                self._open_tensors()
                return
            self.file = os.fdopen(os.dup(file.fileno()), "rb")
            self.file.seek(0)  # the position is shared
        with array_errors(path):
            self.arrays = ArrayFile(path, self.file)
            self.names = self.arrays.names

    def rows(self, name: str) -> ArrayRows:
        """The rows of an array. Raises DataError where it is damaged or has no rows."""
        found = self._tensor(name) if self.tensors else self._array(name)
        if not found.shape or 0 in found.shape:
            raise DataError(f"{shown(self.path)}: {shown(name)} has the shape {str(found.shape)[:60]}: no rows in it")
        return found

    def whole(self, name: str) -> Array:
        """All of an array that must fit memory, such as labels."""
        if not self.tensors:
            with array_errors(self.path):
                return self.arrays.read(name)
        rows = self.rows(name)
        return rows.between(0, len(rows))

    def _open_tensors(self) -> None:
        try:
            self.opened = safe_open(self.path, framework="pt")
            self.names = list(self.opened.keys())
        except (SafetensorError, OSError, ValueError) as error:
            said = " ".join(str(error).split())[:100]
            raise DataError(f"{shown(self.path)}: not a readable safetensors file: {said}") from error

    def _tensor(self, name: str) -> ArrayRows:
        return TensorRows(self.path, self.opened.get_slice(name))

    def _array(self, name: str) -> ArrayRows:
        with array_errors(self.path):
            place = self.arrays.place(name)
        header = place.header
        if place.offset is not None:
            return StoredRows(self.path, self.file, place.offset, header)
        if not header.fortran:
            return PackedRows(self.path, lambda: self.arrays.stream(name), place.before, header)
        if header.bytes > LARGEST_TURNED:
            raise DataError(
                f"{shown(self.path)}: {shown(name)} is compressed with its first index varying fastest, which cannot "
                "be read in parts: save numpy.ascontiguousarray(x)"
            )
        return InMemoryRows(self.whole(name))


def _torch_type(path: Path, part: Any) -> torch.dtype:
    names = {"BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "BF16": torch.bfloat16}
    names |= {f"I{bits}": getattr(torch, f"int{bits}") for bits in (16, 32, 64)}
    names |= {f"F{bits}": getattr(torch, f"float{bits}") for bits in (16, 32, 64)}
    with suppress(KeyError):
        return names[part.get_dtype()]
    raise DataError(f"{shown(path)}: values of type {part.get_dtype()}: store uint8 or float32")


def _as_numpy(x: torch.Tensor) -> NDArray[Any]:
    return (x.to(torch.float32) if x.dtype in (torch.bfloat16, torch.float16) else x).numpy()
