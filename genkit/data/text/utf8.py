"""UTF-8 in parts: checked or mended, without the mark at its start, cut between characters."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Literal

from genkit.errors import DataError

Errors = Literal["strict", "replace"]

PART = 2**20  # bytes read at once


def checked(parts: Iterator[bytes], name: str, errors: Errors) -> Iterator[bytes]:
    """The bytes of a file as UTF-8, in parts that end where characters end; a byte-order mark is left out.

    Args:
        parts: Of the file.
        name: Of the file, for messages.
        errors: "replace" puts U+FFFD where bytes are no UTF-8.

    Raises:
        DataError: they are not UTF-8, with the place.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    read, first = 0, True
    for part, last in _with_end(parts):
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(part, final=last)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name}: not UTF-8 at byte {read - held + error.start:,}: convert the file (iconv -t UTF-8), or "
                "data.errors=replace"
            ) from error
        read += len(part)
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        if text:
            yield text.encode()


def boundary(parts: Iterator[bytes], at: int) -> int:
    """The first place from `at` on where a character begins in text that comes in parts."""
    read = 0
    for part in parts:
        if at < read + len(part):
            rest = part[at - read :]
            while rest and rest[0] & 0xC0 == 0x80:
                at, rest = at + 1, rest[1:]
            if rest:
                return at
        read += len(part)
    return at


def between(parts: Iterator[bytes], low: int, high: int) -> Iterator[bytes]:
    """The bytes low … high − 1 of what comes in parts."""
    read = 0
    for part in parts:
        if piece := part[max(low - read, 0) : max(high - read, 0)]:
            yield piece
        read += len(part)
        if read >= high:
            return


def _with_end(parts: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The parts, and an empty one that is the last."""
    for part in parts:
        yield part, False
    yield b"", True
