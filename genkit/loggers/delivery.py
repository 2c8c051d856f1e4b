"""Hand a run over to a logger: what metrics.jsonl, config.yaml, samples/ and run.json hold and the logger lacks.

At its first call `advance` compares metrics.jsonl with the journal, line by line:

    the journal's lines, and more       the rest is handed over
    fewer, and the run goes on          it was resumed from an earlier step: wait, it may write the same lines again
    fewer, and the run is over          it was rolled back: what comes after is taken back
    another line than the journal's     it went another way: what comes after the last common step is taken back

So a run that is killed and resumed exactly is logged as if nothing had happened, and no step is logged twice. Later
calls hand over what metrics.jsonl has gained since.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from genkit.checkpoint import lock
from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.run_folder import METRICS
from genkit.loggers.base import LoggedRun, RunLogger
from genkit.loggers.journal import Batch, Journal, LoggedLine
from genkit.storage.disk import storage_errors
from genkit.storage.regular import is_inside, require_inside

SAMPLES = "samples"
AT_ONCE = 10_000  # lines of metrics.jsonl in a batch
DIGITS = 12  # of a digest

_PICTURE = re.compile(r"step-([0-9]{8,18})(?:-([a-z_]{1,40}))?\.png")


@dataclass
class Sent:
    """The outcome of one call.

    Attributes:
        lines: Of metrics.jsonl.
        pictures: Files of samples/.
        step: Of the last line that the logger has, 0 where it has none.
        taken_back: The last step before the run and what was handed over part, None where they do not.
    """

    lines: int = 0
    pictures: int = 0
    step: int = 0
    taken_back: int | None = None


class End(NamedTuple):
    """The end of a run: facts, such as "status", and final scores."""

    facts: Mapping[str, Any]
    scores: Mapping[str, float]


class NewLine(NamedTuple):
    """A line of metrics.jsonl."""

    step: int
    digest: str
    record: Mapping[str, Any]


class Delivery:
    """One run and one logger, from the first call of `advance` to `close`.

    Args:
        logger: Opened where there is something for it, not before.
        run: Reads what the logger is told of the run; called at the first `advance`.
        end: Reads what is known of its end; called when it is over.
    """

    def __init__(self, logger: RunLogger, run: Callable[[], LoggedRun], end: Callable[[], End]) -> None:
        self.logger = logger
        self._read_run, self._read_end = run, end
        self._begun = self._opened = False

    def advance(self, over: bool = False) -> Sent:
        """Hand over what is new.

        Args:
            over: Nothing trains the run any more, so that its last line is written.

        Raises:
            StorageError: another process hands this run over, or the disk refuses.
            Exception: whatever the logger raises.
        """
        if not self._begun:
            self._begin()
        self._read()
        sent = Sent()
        while (step := self._parting(over)) is not None:
            self._take_back(step)
            self._read()
            sent.taken_back = step
        while (batch := self._next_batch(over)) is not None:
            self._hand_over(batch)
            sent.lines += len(batch.lines)
            sent.pictures += len(batch.pictures)
        sent.step = self.step
        return sent

    def close(self) -> None:
        """Close the logger and give its folder up.

        Raises:
            Exception: the logger's; what it was handed over since it was opened may then come once more.
        """
        try:
            if self._opened:
                self._opened = False
                self.logger.close(True)
                if self.logger.keeps_at == "close" and self.journal.doubtful:
                    self.journal.done()
        finally:
            if self._begun:
                self._begun = False
                lock.release(self.folder)

    def abandon(self) -> None:
        """As `close`, after a failure: what fails now is not worth a word."""
        self._close_logger()
        with suppress(Exception):
            self.close()

    def _begin(self) -> None:
        self.run = self._read_run()
        self.folder = self.run.path / self.logger.folder
        with storage_errors(self.folder):
            self.folder.mkdir(exist_ok=True)
        require_inside(self.folder, self.run.path)
        lock.acquire(self.folder)
        self._begun = True
        elsewhere = self.logger.destination(self.run)
        self.journal = Journal(self.folder / f"journal{f'-{digest(elsewhere.encode())}' if elsewhere else ''}.jsonl")
        self.journal.read()
        self.run = replace(self.run, generation=self.journal.generation)
        self.metrics = MetricsLog(self.run.path / METRICS)
        if self.logger.forgets and self.journal.doubtful:
            self._take_back(min((entry.step for entry in self._doubtful()), default=self._last_step() + 1) - 1)
        else:
            self._reread()

    def _doubtful(self) -> list[LoggedLine]:
        return [entry for batch in self.journal.doubtful for entry in batch.lines]

    def _last_step(self) -> int:
        return self.journal.lines[-1].step if self.journal.lines else 0

    def _reread(self) -> None:
        """Begin with the first line of metrics.jsonl, and with what the journal says."""
        self.known, self.again = [*self.journal.lines], self._doubtful()  # lines that were handed over, surely or not
        self.repeats = True
        self.step = self._last_step()
        self.pictures = {*self.journal.pictures}
        self.told = (self.journal.configuration or ("",))[0], self.journal.end
        self.matched, self.offset = 0, 0  # of the known lines; bytes that were read
        self.waiting: list[NewLine] = []  # lines that are not handed over
        self.looked_at = -1  # the time of samples/ when all its pictures were handed over

    def _read(self) -> None:
        """Read what metrics.jsonl has gained, and pass by what is known."""
        for raw, record, end in self.metrics.lines(self.offset):
            self.offset = end
            line = NewLine(record["step"], digest(raw), record)
            at_known = not self.waiting and self.matched < len(self.known)
            if at_known and self.known[self.matched].digest == line.digest:
                self.matched += 1
            else:
                self.waiting.append(line)

    def _parting(self, over: bool) -> int | None:
        """The last step before the run and what was handed over part; None where, so far, they do not."""
        had = [*self.known[self.matched :], *self.again]
        for old, new in zip(had, self.waiting, strict=False):
            if old.digest != new.digest:
                return min(old.step, new.step) - 1
        return had[len(self.waiting)].step - 1 if over and len(had) > len(self.waiting) else None

    def _take_back(self, step: int) -> None:
        """Take back what was handed over of the steps after this one, or all of it."""
        self._close_logger()
        if self.logger.forgets:
            self._open(step)
            self.journal.forget(step)
        else:
            self.logger.discard(self.run)
            self.run = replace(self.run, generation=self.run.generation + 1)
            self.journal.restart(self.run.generation)
        self._reread()

    def _next_batch(self, over: bool) -> Batch | None:
        """Put together what is to be handed over next, None where that is nothing."""
        if self.matched < len(self.known) or len(self.waiting) < len(self.again):
            return None  # the run was resumed, and may write the same lines again
        lines = tuple(self._entries(over))
        step = lines[-1].step if lines else self.step
        told = digest(self.run.text.encode())
        end = digest(json.dumps(self._read_end(), default=str).encode()) if over and self._all(lines) else None
        batch = Batch(
            repeats=self.repeats,
            lines=lines,
            pictures=dict(self._new_pictures(step)),
            configuration=(told, self.step) if told != self.told[0] else None,
            end=end if end != self.told[1] else None,
        )
        return batch if batch.lines or batch.pictures or batch.configuration or batch.end else None

    def _entries(self, over: bool) -> Iterator[LoggedLine]:
        """The next lines; those that are handed over once more have their old times."""
        lines, now = self.waiting[: max(AT_ONCE, len(self.again))], time.time()
        if self.logger.whole_steps and not (over and self._all(lines)):
            lines = [line for line in lines if line.step < lines[-1].step]
        for number, line in enumerate(lines):
            at = self.again[number].time if number < len(self.again) else now
            yield LoggedLine(line.step, line.digest, at)

    def _all(self, lines: Sized) -> bool:
        return len(lines) == len(self.waiting)

    def _new_pictures(self, step: int) -> list[tuple[str, int]]:
        """The pictures up to a step that were not handed over, name and step, in the order of their steps."""
        folder = self.run.path / SAMPLES
        try:
            changed = os.stat(folder).st_mtime_ns
            if changed == self.looked_at or not is_inside(folder, self.run.path):
                return []
            found = [(name, int(match[1])) for name in os.listdir(folder) if (match := _PICTURE.fullmatch(name))]
        except OSError:
            return []
        early = [(name, at) for name, at in found if at <= step]
        if len(early) == len(found):
            self.looked_at = changed
        return sorted((entry for entry in early if entry[0] not in self.pictures), key=lambda entry: entry[::-1])

    def _hand_over(self, batch: Batch) -> None:
        if not self._opened:
            if self.journal.fresh and not self.logger.forgets:
                self.logger.discard(self.run)  # of a journal that was lost
            self._open(0 if self.journal.fresh else None)
        self.journal.begin(batch)
        if batch.configuration is not None:
            self.logger.configuration(batch.configuration[1], self.run)
        pictures = [*batch.pictures.items()]
        for entry, line in zip(batch.lines, self.waiting, strict=False):
            while pictures and pictures[0][1] < entry.step:
                self._picture(*pictures.pop(0))
            self.logger.scalars(entry.step, numbers(line.record), entry.time)
        for picture in pictures:
            self._picture(*picture)
        self.step = batch.lines[-1].step if batch.lines else self.step
        if batch.end is not None:
            end = self._read_end()
            self.logger.end(self.step, end.facts, end.scores)
        self.logger.flush()
        if self.logger.keeps_at == "flush":
            self.journal.done()
        self._handed_over(batch)

    def _handed_over(self, batch: Batch) -> None:
        self.repeats, self.again = False, self.again[len(batch.lines) :]
        self.pictures |= {*batch.pictures}
        self.told = (batch.configuration or self.told)[0], batch.end or self.told[1]
        del self.waiting[: len(batch.lines)]

    def _picture(self, name: str, step: int) -> None:
        file, match = self.run.path / SAMPLES / name, _PICTURE.fullmatch(name)
        assert match is not None
        if is_inside(file, self.run.path) and file.is_file():
            self.logger.picture(step, "/".join(filter(None, (SAMPLES, match[2]))), file)

    def _open(self, after: int | None) -> None:
        self._opened = True  # also where it fails halfway: to be closed
        self.logger.open(self.run, after)

    def _close_logger(self) -> None:
        if self._opened:
            self._opened = False
            with suppress(Exception):
                self.logger.close(False)


def close_over(delivery: Delivery) -> Sent:
    """Hand over what there is of a run that is over, and close."""
    sent = delivery.advance(over=True)
    delivery.close()
    return sent


def digest(data: bytes) -> str:
    """The beginning of a sha256."""
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in a line of metrics.jsonl, which spells those that are not finite as text."""
    found = {}
    for key, value in record.items():
        if key == "step" or isinstance(value, bool) or value is None:
            continue
        with suppress(ValueError):
            number = float(value)
            if not isinstance(value, str) or not math.isfinite(number):
                found[key] = number
    return found
