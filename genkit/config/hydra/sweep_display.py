"""Progress of a sweep while it runs: a live table on a terminal, a line for each start and end elsewhere.

The table fits any terminal: a line of counts, the jobs that run, the last ones that ended, and the best so far. Every
job's own output is in the sweep's folder, `logs/`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from genkit.config.hydra.sweep import DONE, PRUNED, RUNNING, SKIPPED, WAITING, Sweep, SweepJob, label_of_values
from genkit.printing import shown
from genkit.report.console import make_console

LAST = 5  # jobs that ended, shown while others run
REFRESH = 1.0  # seconds between looks at how far jobs are
COLOURS = {DONE: "green", SKIPPED: "dim", RUNNING: "cyan", WAITING: "dim", PRUNED: "dim"}


def colour_of(status: str) -> str:
    """The colour of a status: red where a job failed."""
    return COLOURS.get(status, "red" if status.startswith("exit") else "yellow")


def headline(sweep: Sweep) -> str:
    """Say how many jobs are to run, before the first one starts."""
    skipped = sum(job.status == SKIPPED for job in sweep.jobs.values())
    waiting = sum(job.status == WAITING for job in sweep.jobs.values())
    if sweep.asked is not None:
        skipped, waiting = sweep.done, max(0, sweep.asked - sweep.done)
    before = f", {skipped:,} done before" if skipped else ""
    at_once = f", {sweep.at_once} at once" if sweep.at_once > 1 else ""
    jobs = "jobs" if sweep.asked is None else "trials"
    return f"genkit: {waiting:,} of {sweep.total:,} {jobs} to run{before}{at_once}"


class Display:
    """Shows the jobs of a sweep as they start and end."""

    def __init__(self, sweep: Sweep, console: Console | None = None) -> None:
        self._sweep = sweep
        self._console = make_console() if console is None else console
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_interactive else None
        self._began = time.monotonic()
        self._looked = 0.0
        self._last: list[SweepJob] = []

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(Text(""), refresh=True)
            self._live.stop()

    def started(self, job: SweepJob) -> None:
        if self._live is None:
            self._print(f"genkit: job {job.number} starts: {_named(job)}")

    def ended(self, job: SweepJob) -> None:
        self._last = [*self._last, job][-LAST:]
        if self._live is None:
            self._print(f"genkit: job {job.number} {_end(job, self._sweep.score)}: {_named(job)}")

    def tick(self, refresh: Callable[[SweepJob, Sweep], None]) -> None:
        """Look at how far the running jobs are, and draw again, now and then."""
        if self._live is None or time.monotonic() - self._looked < REFRESH:
            return
        self._looked = time.monotonic()
        for job in self._sweep.jobs.values():
            if job.status == RUNNING:
                refresh(job, self._sweep)
        self._live.update(self._drawn(), refresh=True)

    def _drawn(self) -> Group:
        jobs = list(self._sweep.jobs.values())
        running = [job for job in jobs if job.status == RUNNING]
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for job in [*self._last, *running]:
            row = (str(job.number), shown(_named(job)), _progress(job), _score(job))
            table.add_row(*row, style=colour_of(job.status))
        best = self._sweep.best
        found = "" if best is None else f"best: {_named(best)}, {shown(self._sweep.score)} {_score(best)}"
        return Group(Text(self._counts(jobs)), table, Text(found, style="bold"))

    def _counts(self, jobs: list[SweepJob]) -> str:
        counts = {
            "done": sum(job.finished for job in jobs),
            "failed": sum(job.failed for job in jobs),
            "running": sum(job.status == RUNNING for job in jobs),
            "waiting": self._waiting(jobs),
        }
        parts = [f"{count:,} {name}" for name, count in counts.items() if count or name == "done"]
        what = "sweep" if self._sweep.asked is None else "search"
        return "  ".join([f"{what} of {self._sweep.total:,}:", *parts, self._left(jobs)])

    def _waiting(self, jobs: list[SweepJob]) -> int:
        if self._sweep.asked is None:
            return sum(job.status == WAITING for job in jobs)
        return max(0, self._sweep.asked - self._sweep.done - sum(job.status == RUNNING for job in jobs))

    def _left(self, jobs: list[SweepJob]) -> str:
        """The time that is left, from the mean of the jobs that ended."""
        spent = [job.seconds for job in jobs if job.seconds is not None and job.exit_code == 0]
        missing = sum(job.status == RUNNING for job in jobs) + self._waiting(jobs)
        if not spent or not missing:
            return ""
        seconds = math.fsum(spent) / len(spent) * missing / self._sweep.at_once
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"about {hours}:{minutes:02}:{rest:02} left" if hours else f"about {minutes}:{rest:02} left"

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _named(job: SweepJob) -> str:
    return shown(label_of_values(job.values)) or "(no values)"


def _progress(job: SweepJob) -> str:
    if job.status == RUNNING and job.step is not None:
        return f"step {job.step:,}" + (f"/{job.steps:,}" if job.steps else "")
    return job.status


def _score(job: SweepJob) -> str:
    return "" if job.score is None else f"{job.score:.5g}"


def _end(job: SweepJob, score: str) -> str:
    scored = f", {shown(score)} {_score(job)}" if job.score is not None else ""
    took = f" ({job.seconds:.1f} s)" if job.seconds is not None else ""
    return f"{job.status}{scored}{took}" if not job.line else f"{job.status}{took}, {job.line}"
