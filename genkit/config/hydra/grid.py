"""Run the jobs of a sweep: plan them, match them with what stands, start what is missing, and tell of the end.

Every job is composed and checked before the first one starts, so a mistake in the whole grid is one line and writes
nothing, and a job that cannot work costs no process. A job is then a plain command line, with `run_dir=` or `out=` of
its own folder, or with `resume=` where its run stands broken: how it is started (in this process, in its own, by a
batch system) changes nothing of what it does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genkit.checkpoint import lock
from genkit.checkpoint.place import is_run_folder
from genkit.config.hydra.explanation import key_of
from genkit.config.hydra.job_kind import JobKind
from genkit.config.hydra.paths import quoted
from genkit.config.hydra.sweep import (
    DONE,
    INTERRUPTED,
    RUNNING,
    SKIPPED,
    Sweep,
    SweepJob,
    job_name,
    label_of_values,
)
from genkit.config.hydra.sweep_display import headline
from genkit.config.hydra.sweep_index import SweepIndex, write_table
from genkit.config.settings import Settings
from genkit.errors import ConfigError, GenkitError
from genkit.printing import shortened, shown
from genkit.storage.disk import storage_errors
from genkit.storage.exclusive import make_stamped

if TYPE_CHECKING:
    from genkit.config.hydra.launch import SweepTask

ORPHANS = 60.0  # seconds in which the jobs of a sweep that was killed may write their checkpoints
SAID = 200  # characters of a launcher's error
LEFT_TO_SWEEP = ("sweep.jobs", "hydra/launcher", "hydra/sweeper")  # words that no job is started with
Jobs = Sequence[Sequence[str]]  # the overrides of each
Compose = Callable[[Sequence[str]], Any]
Launch = Callable[[Jobs], Sequence[Any]]


class JobGrid:
    """The jobs of one command and the folder that they share.

    Attributes:
        task: What is called for each job.
        sweep: What is known of them.
        kind: What the verb knows of its jobs.
    """

    def __init__(self, task: SweepTask, sweep: Sweep, kind: JobKind) -> None:
        self.task = task
        self.sweep = sweep
        self.kind = kind
        self.index: SweepIndex | None = None

    def run(
        self, grid: Sequence[Sequence[str]], compose: Compose, launch: Launch, other: str | None = None
    ) -> list[float]:
        """Plan and run the jobs with these overrides; the value of each, to be minimised, infinite where it failed.

        Args:
            grid: The overrides of each job.
            compose: Overrides to a composed configuration.
            launch: Runs jobs of these overrides and returns the outcome of each.
            other: The launcher, where it is not genkit's own, which alone knows of sweep.jobs.

        Raises:
            ConfigError: no job can be run, or the folder is not this sweep's.
            StorageError: another command works in the folder.
        """
        planned = self._planned(grid, compose)
        if other is not None and self.sweep.at_once > 1:
            at_once = self.sweep.at_once
            raise ConfigError(f"sweep.jobs={at_once}: hydra/launcher={other} starts the jobs: leave one of them out")
        with self._own_folder(planned):
            self._match(planned)
            waiting = [job for job, _ in planned if not job.finished]
            self._write_index()
            try:
                if waiting:
                    print(headline(self.sweep), flush=True)
                    outcomes = self._launched(waiting, launch, other)
                    for job, outcome in zip(waiting, outcomes, strict=True):
                        if job.exit_code is None:
                            self.ended(job, outcome.code, outcome.line)
            finally:
                self._conclude()
        return [self._value(job) for job in self.sweep.jobs.values()]

    def _launched(self, jobs: Sequence[SweepJob], launch: Launch, other: str | None) -> Sequence[Any]:
        """The outcomes of jobs; a launcher of others raises where a job of its batch system left none."""
        try:
            return launch([job.words for job in jobs])
        except Exception as error:
            if other is None or isinstance(error, GenkitError):
                raise
            said = shortened(f"{type(error).__name__}: {error}", SAID)
            raise GenkitError(
                f"hydra/launcher={other}: a job left no result ({said}): type the command again to go on"
            ) from error

    def job_of(self, words: Sequence[str]) -> SweepJob:
        """The job that was given these words to start with."""
        return next(job for job in self.sweep.jobs.values() if job.words == tuple(words) and not job.finished)

    def started(self, job: SweepJob, pid: int | None = None) -> None:
        """Note that a job runs."""
        job.status, job.pid = RUNNING, pid
        self._write_index()

    def ended(self, job: SweepJob, code: int, line: str = "", seconds: float | None = None) -> None:
        """Note what became of a job."""
        job.pid, job.exit_code, job.line = None, code, line
        job.seconds = None if seconds is None else round(seconds, 1)
        job.status = DONE if code == 0 else INTERRUPTED if code > 128 and not line else f"exit {code}"
        self.kind.refresh(job, self.sweep)
        self._write_index()

    def _planned(self, grid: Sequence[Sequence[str]], compose: Compose) -> list[tuple[SweepJob, Settings]]:
        """The jobs that can be run, with their settings; the others are noted as failed.

        Raises:
            GenkitError: none can, all for the same reason.
        """
        planned, refusals = list[tuple[SweepJob, Settings]](), list[GenkitError]()
        for number, overrides in enumerate(grid):
            job, config = self.sweep.job(number, overrides), compose(overrides)
            job.words = tuple(word for word in overrides if key_of(word) not in LEFT_TO_SWEEP)
            try:
                settings = self.task.prepare(config, multirun=True)
            except GenkitError as error:
                refusals.append(error)
                told = str(self.task.as_typed(error, config))
                job.status, job.exit_code, job.line = f"exit {error.exit_code}", error.exit_code, f"error: {told}"
                continue
            planned.append((job, settings))
        if refusals and not planned and len({str(error) for error in refusals}) == 1:
            raise refusals[0]
        return planned

    @contextmanager
    def _own_folder(self, planned: Sequence[tuple[SweepJob, Settings]]) -> Iterator[None]:
        """The sweep's folder, made where it is missing, and this process's alone."""
        if not planned:
            yield
            return
        named = getattr(planned[0][1], self.kind.key)
        if named is None:
            stamped = Path("outputs", self.sweep.verb, f"{time.strftime('%Y%m%d-%H%M%S')}-sweep")
            self.sweep.folder = make_stamped(stamped, lambda folder: lock.acquire(folder))
        else:
            self.sweep.folder = self._named(Path(named))
        try:
            self.index = SweepIndex(self.sweep.folder, self.sweep.verb)
            self._outlive_orphans(self.index)
            yield
        finally:
            lock.release(self.sweep.folder)

    def _named(self, folder: Path) -> Path:
        refuse_no_sweep(folder, self.kind.key)
        SweepIndex(folder, self.sweep.verb)  # refused before anything is made
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(folder)
        return folder

    def _outlive_orphans(self, index: SweepIndex) -> None:
        """Wait for jobs of a sweep that was killed: they save what they have and end by themselves."""
        until = time.monotonic() + ORPHANS
        while any(owner.is_here() and not owner.is_dead() for owner in index.owners) and time.monotonic() < until:
            time.sleep(0.1)

    def _match(self, planned: Sequence[tuple[SweepJob, Settings]]) -> None:
        assert self.sweep.folder is not None
        assert self.index is not None
        folder = self.sweep.folder
        for job, settings in planned:
            job.folder = self.kind.place(settings)
        below = [(job, settings) for job, settings in planned if job.folder is None]
        self.kind.match(folder, below, self.index.known)
        taken, seen = self.kind.taken(folder), list[tuple[Settings, SweepJob]]()
        numbers = {int(name.partition("-")[0]) for name in taken if name.partition("-")[0].isdecimal()}
        for job, settings in below:
            twin = next((other for known, other in seen if known == settings), None)
            if twin is not None:
                job.folder, job.status = twin.folder, SKIPPED
            elif job.folder is None:
                number = job.number if job.number not in numbers else max(numbers) + 1
                numbers.add(number)
                job.folder = folder / job_name(number, label_of_values(job.values) or self.sweep.verb)
                job.words = (*without(job.words, self.kind.key, "resume"), f"{self.kind.key}={quoted(str(job.folder))}")
            seen.append((settings, job))

    def _write_index(self) -> None:
        if self.index is not None and self.index.folder.is_dir():
            self.index.write(self.sweep)

    def _conclude(self) -> None:
        for job in self.sweep.jobs.values():
            if job.status == SKIPPED:
                self.kind.refresh(job, self.sweep)
            if job.folder is not None and not job.folder.exists():
                job.folder = None  # nothing came of it
        self.kind.conclude(self.sweep)
        self._write_index()
        if self.index is not None and self.index.folder.is_dir():
            write_table(self.index.folder, self.sweep)

    def _value(self, job: SweepJob) -> float:
        """The number that a sweeper minimises: infinite for a job that failed, or that was never scored."""
        if job.score is None or not job.finished:
            return math.inf
        return -job.score if self.sweep.mode == "max" else job.score


def refuse_no_sweep(folder: Path, key: str) -> None:
    """Raises ConfigError where a folder that `key` names cannot be that of a sweep."""
    if is_run_folder(folder):
        raise ConfigError(f"{shown(folder)}: a run, and a sweep makes a folder of runs: name another run_dir=")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{shown(folder)}: a file, and a sweep makes a folder: name another {key}=")


def without(words: Sequence[str], *keys: str) -> list[str]:
    """The words that set none of these keys."""
    return [word for word in words if key_of(word) not in keys]
