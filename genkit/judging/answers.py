"""Answers as lines of a CSV, each durable before the rater sees the next image.

    study,rater,trial,left,right,answer,seconds
    3f9a…,ann,0,17,42,left,1.8

`study` is the mark of the key. Where a trial stands twice, the later line counts: the rater went back. A last line
without its end is what a crash left of one: it was never confirmed, and says nothing.
"""

from __future__ import annotations

import csv
import io
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genkit.errors import ConfigError, DataError
from genkit.judging.plan import Trial
from genkit.printing import shown
from genkit.storage.disk import storage_errors
from genkit.storage.regular import read_regular

COLUMNS = ("study", "rater", "trial", "left", "right", "answer", "seconds")
WORDS = {"real", "fake", "left", "right", "tie"}
NAME = re.compile(r"\w[\w .-]{0,39}")
LARGEST = 256 * 2**20  # bytes of a file that is read


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        study: Mark of the key.
        rater: Name.
        trial: Place in the rater's plan.
        left, right: The images that were shown.
        answer: "real" or "fake", "left", "right" or "tie".
        seconds: From the image to the answer.
    """

    study: str
    rater: str
    trial: int
    left: int
    right: int | None
    answer: str
    seconds: float

    def line(self) -> str:
        """The line of the CSV."""
        text = io.StringIO()
        right = "" if self.right is None else self.right
        row = (self.study, self.rater, self.trial, self.left, right, self.answer, f"{self.seconds:.3f}")
        csv.writer(text, lineterminator="\n").writerow(row)
        return text.getvalue()


def check_name(rater: str) -> str:
    """The name of a rater, without blanks around it; raises ConfigError where it cannot stand in a table."""
    name = rater.strip()
    if not NAME.fullmatch(name):
        raise ConfigError("rater: a name has 1 to 40 letters, digits, blanks, dots or hyphens and begins with a letter")
    return name


class AnswerFile:
    """The answers of a study, appended by several threads.

    Args:
        path: Of the CSV; it is made where it is missing.
        study: The mark of its key.

    Raises:
        DataError: the file holds something else.
    """

    def __init__(self, path: Path, study: str) -> None:
        self.path, self.study = path, study
        self._lock = threading.Lock()
        self._known: dict[str, dict[int, str]] = {}
        if not path.exists():
            self._append(f"{','.join(COLUMNS)}\n")
        self._drop_cut_line()
        for answer in read_answers(path):
            if answer.study != study:
                raise DataError(f"{shown(path)}: answers of another study: give another folder")
            self._known.setdefault(answer.rater, {})[answer.trial] = answer.answer

    def of(self, rater: str) -> dict[int, str]:
        """Trial -> answer of a rater."""
        with self._lock:
            return dict(self._known.get(rater, {}))

    @property
    def counts(self) -> dict[str, int]:
        """Rater -> trials with an answer."""
        with self._lock:
            return {rater: len(found) for rater, found in self._known.items()}

    def add(self, rater: str, number: int, trial: Trial, answer: str, seconds: float) -> int:
        """Append an answer, durable on return; the number of trials that the rater has answered.

        Raises:
            StorageError: the disk refuses.
        """
        row = Answer(self.study, rater, number, trial.left, trial.right, answer, seconds)
        with self._lock:
            self._append(row.line())
            known = self._known.setdefault(rater, {})
            known[number] = answer
            return len(known)

    def _append(self, line: str) -> None:
        with storage_errors(self.path), open(self.path, "ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def _drop_cut_line(self) -> None:
        """Take back a last line without its end, so that the next answer does not become part of it."""
        with storage_errors(self.path):
            content = self.path.read_bytes()
            if len(content) <= LARGEST and not content.endswith(b"\n"):
                os.truncate(self.path, content.rfind(b"\n") + 1)


def read_answers(path: Path) -> list[Answer]:
    """All answers of a file, in its order.

    Raises:
        DataError: it is no file of answers.
    """
    try:
        text = read_regular(path, largest=LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(path)}: no text in UTF-8") from error
    whole = text[: text.rfind("\n") + 1]
    rows = csv.reader(io.StringIO(whole, newline=""))
    if tuple(next(rows, ())) != COLUMNS:
        raise DataError(f"{shown(path)}: no answers: its first line is not {','.join(COLUMNS)}")
    found = []
    try:
        for row in rows:
            if len(row) == len(COLUMNS):
                found.append(_answer(row))
            elif row:
                raise ValueError(f"{len(row)} values, {len(COLUMNS)} expected")
    except (csv.Error, ValueError) as error:
        raise DataError(f"{shown(path)}, line {rows.line_num}: no answer: {error}") from error
    return found


def _answer(row: Sequence[str]) -> Answer:
    study, rater, trial, left, right, answer, seconds = row
    if answer not in WORDS or not NAME.fullmatch(rater):
        raise ValueError(f"answer {shown(answer, 40)!r} of {shown(rater, 40)!r}")
    return Answer(study, rater, int(trial), int(left), int(right) if right else None, answer, float(seconds))
