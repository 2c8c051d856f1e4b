"""Read a safetensors file's header before its tensors, and check it against the size of the file.

    8 bytes little-endian: length of the header · header: JSON, {name: {dtype, shape, data_offsets}} · the data

Every byte of the data belongs to one tensor, so no file promises more than it has: a sparse file of gigabytes, or a
header that declares them, is refused before any of it is read. torch is not imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from genkit.checkpoint import strict_json
from genkit.errors import CheckpointError
from genkit.printing import shown

ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "C64": 8,
}
_DIMENSIONS = 64


@dataclass(frozen=True)
class TensorLayout:
    """One tensor of a file: the name of its dtype in safetensors, and its shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


def read_header(file: BinaryIO, size: int, path: Path) -> dict[str, TensorLayout]:
    """The tensors of an opened safetensors file of `size` bytes, by name; the file is left at its start.

    Raises:
        CheckpointError: the header is malformed, or does not account for every byte of the file.
    """
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, strict_json.LARGEST):
        raise _damaged(path, f"a header of {length:,} bytes")
    header = strict_json.parse(file.read(length), path)
    file.seek(0)
    if not isinstance(header, dict):
        raise _damaged(path, "a header that is no object")
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    place = 0
    for name, entry in sorted(tensors.items(), key=lambda item: _offsets(item[1])):
        if not _is_entry(entry) or entry["data_offsets"][0] != place:
            raise _damaged(path, f"an entry {shown(name)!r} that fits nowhere")
        place = entry["data_offsets"][1]
    if place != size - 8 - length:
        raise _damaged(path, f"{place:,} bytes of tensors in {size:,}")
    return {name: TensorLayout(entry["dtype"], tuple(entry["shape"])) for name, entry in tensors.items()}


def _offsets(entry: Any) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, Mapping) else None
    sound = isinstance(offsets, list) and len(offsets) == 2 and all(type(offset) is int for offset in offsets)
    return (offsets[0], offsets[1]) if sound and isinstance(offsets, list) else (-1, -1)


def _is_entry(entry: Any) -> bool:
    start, stop = _offsets(entry)
    if start < 0 or set(entry) != {"dtype", "shape", "data_offsets"}:
        return False
    dtype, shape = entry["dtype"], entry["shape"]
    if not (isinstance(dtype, str) and dtype in ITEM_BYTES and isinstance(shape, list) and len(shape) <= _DIMENSIONS):
        return False
    if not all(type(length) is int and 0 <= length < 2**48 for length in shape):
        return False
    return stop - start == math.prod(shape) * ITEM_BYTES[dtype]


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{shown(path)}: no readable safetensors file ({what}): use another checkpoint or a fresh copy"
    )
