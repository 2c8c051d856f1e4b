"""The place of a member's bytes in a zip archive, for reading those of uncompressed ones by their offset."""

from __future__ import annotations

import os
import zipfile

LOCAL_HEADER = 30  # bytes, and then the name and an extra field whose lengths it holds


def start_of(descriptor: int, info: zipfile.ZipInfo) -> int:
    """The offset of a member's bytes in the opened archive: the local header has lengths of its own."""
    head = os.pread(descriptor, LOCAL_HEADER, info.header_offset)
    return info.header_offset + LOCAL_HEADER + sum(int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
