"""The file that coded data is kept in: a header in JSON, named sections of bytes, and a checksum over all of it.

    magic (9) · length of the header (4, big-endian) · header · sections, one after the other · sha256 (first 16 bytes)

The magic holds a byte above 127 and both ends of a line, so that a transfer as text is noticed, as in PNG.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genkit.errors import DataError

MAGIC = b"\x89GENKIT\r\n"
VERSION = 1
DIGEST = 16
LONGEST = 2**20  # bytes of a header
REQUIRED: dict[str, type] = {"version": int, "sections": dict, "n": int}


@dataclass(frozen=True)
class Container:
    """Header and sections of a file.

    Attributes:
        header: Plain JSON values.
        sections: Bytes by name.
    """

    header: Mapping[str, Any]
    sections: Mapping[str, bytes]

    def to_bytes(self) -> bytes:
        """The whole file."""
        sizes = {name: len(section) for name, section in self.sections.items()}
        header = {"version": VERSION, **self.header, "sections": sizes}
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        body = b"".join((MAGIC, len(text).to_bytes(4, "big"), text, *self.sections.values()))
        return body + hashlib.sha256(body).digest()[:DIGEST]

    @classmethod
    def of_bytes(cls, data: bytes, name: str) -> Container:
        """Read a file.

        Args:
            data: All of it.
            name: What a message calls it.

        Raises:
            DataError: no such file, one of a later version, cut short, or damaged in any byte.
        """
        if not data.startswith(MAGIC):
            raise DataError(f"{name}: not a file that genkit compress wrote")
        head = len(MAGIC) + 4
        size = int.from_bytes(data[len(MAGIC) : head], "big")
        if len(data) < head + DIGEST or not 0 < size <= LONGEST:
            raise DataError(f"{name}: cut short or damaged: take it from a copy")
        body, digest = data[:-DIGEST], data[-DIGEST:]
        if hashlib.sha256(body).digest()[:DIGEST] != digest:
            raise DataError(f"{name}: cut short or damaged, its checksum is another: take it from a copy")
        header = _header(body[head : head + size], name)
        sections, place = {}, head + size
        for section, length in header["sections"].items():
            sections[section] = body[place : place + length]
            place += length
        if place != len(body):
            raise DataError(f"{name}: its header tells other sizes than it has: take it from a copy")
        return cls(header, sections)


def _header(text: bytes, name: str) -> dict[str, Any]:
    try:
        header = json.loads(text)
        sound = all(type(header[key]) is kind for key, kind in REQUIRED.items())
        sound = sound and all(type(size) is int and size >= 0 for size in header["sections"].values())
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{name}: its header cannot be read: take it from a copy") from error
    if not sound:
        raise DataError(f"{name}: its header cannot be read: take it from a copy")
    if header["version"] != VERSION:
        raise DataError(f"{name}: of the form {header['version']}, this genkit reads {VERSION}: use a newer genkit")
    return dict(header)
