"""The journal of a logger: what of a run it has, one JSON object per line, appended to as it is handed over.

    {"schema": "genkit.journal/1", "generation": 0}
    {"repeats": true, "lines": [[10, "9f86d081884c", 1764400000.5]], "pictures": {"step-00000010.png": 10}, …}
    {"done": true}
    {"after": 10}

A line of metrics.jsonl is remembered by its step, the beginning of its sha256 and when it was handed over. What is
about to be handed over is written down before, and "done" when it surely was, so that a kill or a failure in between is
seen; `after` takes back what is of later steps. Nothing is synced: where a power loss takes lines of the journal, a
logger is handed them over once more.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from genkit.errors import StorageError
from genkit.printing import shown
from genkit.storage.atomic import replace_file
from genkit.storage.disk import storage_errors
from genkit.storage.regular import append_to, open_regular

SCHEMA = "genkit.journal/1"
LARGEST = 2**28  # bytes
ADVICE = "delete it, and the whole run is handed over again"


class LoggedLine(NamedTuple):
    """A line of metrics.jsonl that was handed over, or was about to be."""

    step: int
    digest: str
    time: float


@dataclass(frozen=True)
class Batch:
    """Lines and pictures that are handed over at once.

    Attributes:
        repeats: Whether it begins with what was doubtful so far.
        lines: The next ones of metrics.jsonl.
        pictures: Name -> step.
        configuration: Its digest and the step from which it holds, None where it is not part of this.
        end: Digest of what is said of the end, None where it is not part of this.
    """

    repeats: bool
    lines: tuple[LoggedLine, ...] = ()
    pictures: dict[str, int] = field(default_factory=dict)
    configuration: tuple[str, int] | None = None
    end: str | None = None

    @classmethod
    def of(cls, record: dict[str, Any]) -> Batch:
        """Raises TypeError, ValueError or KeyError for what is no record of a batch."""
        lines = tuple(LoggedLine(int(step), str(digest), float(at)) for step, digest, at in record["lines"])
        pictures = {str(name): int(step) for name, step in dict(record["pictures"]).items()}
        told = record["configuration"]
        configuration = None if told is None else (str(told[0]), int(told[1]))
        return cls(record["repeats"] is True, lines, pictures, configuration, record["end"] and str(record["end"]))


class Journal:
    """The part of a run that a logger has.

    Args:
        path: The file, made when something is handed over first.

    Attributes:
        fresh: Whether nothing was ever handed over, as far as this file knows.
        generation: How often the run was handed over from the beginning again.
        lines: Of metrics.jsonl, in their order.
        pictures: Name -> step.
        configuration: Its digest and the step from which it holds.
        end: Digest of what was said of the end.
        doubtful: What was handed over and perhaps not taken, since a process was killed or a call failed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._torn = False  # whether the file ends with part of a line
        self._reset(0)

    def _reset(self, generation: int) -> None:
        self.fresh, self.generation = True, generation
        self.lines: list[LoggedLine] = []
        self.pictures: dict[str, int] = {}
        self.configuration: tuple[str, int] | None = None
        self.end: str | None = None
        self.doubtful: list[Batch] = []

    def read(self) -> None:
        """Take in what the file holds, where there is one.

        Raises:
            StorageError: a link out of the run folder, no regular file, too large, or damaged.
        """
        if not os.path.lexists(self.path):
            return
        inside = self.path.parent
        with open_regular(self.path, inside=inside, largest=LARGEST, refusal=StorageError, advice=ADVICE) as file:
            for number, line in enumerate(file, 1):
                self._torn = not line.endswith(b"\n")
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    continue  # torn by a kill, before anything of it was handed over
                try:
                    self._take(record)
                except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
                    raise StorageError(f"{shown(self.path)}: damaged in line {number}: {ADVICE}") from error

    def restart(self, generation: int) -> None:
        """Forget everything: the run is handed over from the beginning.

        Raises:
            StorageError: it cannot be written.
        """
        line = json.dumps({"schema": SCHEMA, "generation": generation})
        replace_file(self.path, f"{line}\n".encode("ascii"))
        self._reset(generation)

    def begin(self, batch: Batch) -> None:
        """Write down what is about to be handed over."""
        self._write(dict(vars(batch)))

    def done(self) -> None:
        """Write down that it has been."""
        self._write({"done": True})

    def forget(self, step: int) -> None:
        """Take back what is of later steps than this one, and what is doubtful."""
        self._write({"after": step})

    def _write(self, record: dict[str, Any]) -> None:
        """Raises StorageError where it cannot be written."""
        if not os.path.lexists(self.path):
            self.restart(self.generation)
        text = ("\n" if self._torn else "") + json.dumps(record) + "\n"
        with storage_errors(self.path, len(text)), append_to(self.path) as file:
            file.write(text.encode("ascii"))
        self._torn = False
        self._take(record)

    def _take(self, record: Any) -> None:
        if "schema" in record:
            if record["schema"] != SCHEMA or type(record["generation"]) is not int:
                raise ValueError("of another version")
            self._reset(record["generation"])
        elif "after" in record:
            self._forget(int(record["after"]))
        elif "done" in record:
            self._settle()
        else:
            batch, self.fresh = Batch.of(record), False
            self.doubtful = [batch] if batch.repeats else [*self.doubtful, batch]

    def _settle(self) -> None:
        for batch in self.doubtful:
            self.lines += batch.lines
            self.pictures |= batch.pictures
            self.configuration = batch.configuration or self.configuration
            self.end = batch.end or self.end
        self.doubtful = []

    def _forget(self, step: int) -> None:
        self.lines = [entry for entry in self.lines if entry.step <= step]
        self.pictures = {name: at for name, at in self.pictures.items() if at <= step}
        if self.configuration is not None and self.configuration[1] > step:
            self.configuration = None
        self.end, self.doubtful = None, []
