"""The last record of a file of JSON lines, read from its end while another process appends to it."""

from __future__ import annotations

import json
from pathlib import Path

LONGEST = 8192  # bytes of a line


def last_line(path: Path) -> object:
    """The last whole line of a file of JSON lines, None where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LONGEST))
            lines = file.read().split(b"\n")[:-1]
        return json.loads(lines[-1]) if lines else None
    except (OSError, ValueError):
        return None
