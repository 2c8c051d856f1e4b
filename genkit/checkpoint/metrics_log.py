"""`metrics.jsonl`: one strict JSON object per logged step, readable while the run writes it.

A line is one write, so a kill leaves whole lines or at most a torn last one. A diverging loss is worth a line too:
infinity and NaN, which JSON lacks, become the strings "inf", "-inf" and "nan", which `float` reads back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genkit.storage.atomic import replace_file
from genkit.storage.disk import storage_errors

Value = float | int | str | bool | None


class MetricsLog:
    """The metrics of a run, appended to.

    Args:
        path: The file; made at the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, step: int, values: Mapping[str, Value]) -> None:
        """Adds one line {"step": step, **values}, handed to the system when this returns.

        Raises:
            StorageError: it cannot be written.
        """
        line = json.dumps({"step": step} | {key: _plain(value) for key, value in values.items()}, allow_nan=False)
        with storage_errors(self.path, len(line) + 1), self.path.open("ab", buffering=0) as file:
            file.write(f"{line}\n".encode("ascii"))

    def truncate_after(self, step: int) -> None:
        """Keeps the lines of steps up to `step`, byte for byte, for a run that resumes there; drops a torn one."""
        if self.path.is_file():
            kept = b"".join(line for line, record in self._lines() if record["step"] <= step)
            replace_file(self.path, kept)

    def records(self) -> list[dict[str, Any]]:
        """Every whole line, oldest first."""
        return [record for _, record in self._lines()] if self.path.is_file() else []

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        with self.path.open("rb") as file:
            for line in file:
                record = _record(line)
                if record is not None:
                    yield line, record


def _plain(value: Value) -> Value:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _record(line: bytes) -> dict[str, Any] | None:
    """The object in a whole line; None where the line was torn."""
    try:
        record = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("step"), int) else None
