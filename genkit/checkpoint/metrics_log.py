"""`metrics.jsonl`: one strict JSON object per logged step, readable while the run writes it.

A line is one write, so a kill leaves whole lines or at most a torn last one. A diverging loss is worth a line too:
infinity and NaN, which JSON lacks, become the strings "inf", "-inf" and "nan", which `float` reads back.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from genkit.errors import CheckpointError
from genkit.storage.atomic import replacing
from genkit.storage.disk import storage_errors
from genkit.storage.regular import append_to, open_regular

Value = float | int | str | bool | None
LARGEST = 2**28  # bytes of a file whose records are held in memory
LONGEST = 2**20  # bytes of a line


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
        with storage_errors(self.path, len(line) + 1), append_to(self.path) as file:
            file.write(f"{line}\n".encode("ascii"))

    def truncate_after(self, step: int, *, terms: bool = True) -> None:
        """Keeps the lines of steps up to `step`, byte for byte, for a run that resumes there; drops a torn one.

        Args:
            step: The last one.
            terms: Whether its own training terms stay.

        Raises:
            CheckpointError: the file is a link out of the run, or no file.
            StorageError: it cannot be written.
        """

        def stays(record: Mapping[str, Any]) -> bool:
            return record["step"] == step and (terms or not any(name.startswith("train/") for name in record))

        if os.path.lexists(self.path):
            with storage_errors(self.path), replacing(self.path) as file:
                file.writelines(line for line, record in self._lines() if record["step"] < step or stays(record))

    def records(self) -> list[dict[str, Any]]:
        """Every whole line, oldest first.

        Raises:
            CheckpointError: the file is a link out of the run, no file, or too large to be held in memory.
        """
        return [record for _, record in self._lines(LARGEST)] if os.path.lexists(self.path) else []

    def lines(self, start: int = 0) -> Iterator[tuple[bytes, dict[str, Any], int]]:
        """Every whole line from a byte on, as it stands, with its record and the byte behind it.

        Raises:
            CheckpointError: the file is a link out of the run, or no file.
        """
        if os.path.lexists(self.path):
            with self._opened() as file:
                file.seek(start)
                while line := file.readline(LONGEST):
                    record = _record(line)
                    if record is not None:
                        yield line, record, file.tell()

    def _lines(self, largest: int | None = None) -> Iterator[tuple[bytes, dict[str, Any]]]:
        with self._opened(largest) as file:
            while line := file.readline(LONGEST):
                record = _record(line)
                if record is not None:
                    yield line, record

    def _opened(self, largest: int | None = None) -> AbstractContextManager[BinaryIO]:
        folder, advice = self.path.parent, "restore it from a copy, or delete it"
        return open_regular(self.path, inside=folder, largest=largest, refusal=CheckpointError, advice=advice)


def _plain(value: Value) -> Value:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _record(line: bytes) -> dict[str, Any] | None:
    """The object in a whole line; None where the line was torn, or is none of this module's."""
    try:
        record = json.loads(line, parse_constant=_no_constant) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int:
        return None
    return record if all(isinstance(value, Value) for value in record.values()) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
