"""Jobs of a sweep in processes of their own, several at once, on this machine.

On Linux they are forked from a server that has imported the verb and done nothing else, so a job starts in
milliseconds; elsewhere each is a fresh interpreter. A job leads its own process group: Ctrl-C reaches the command
alone, which passes on what it receives, once. A job whose command has died stops as if it had been told to.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, forkserver, resource_tracker
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from genkit.config.hydra.cores import cores
from genkit.config.hydra.failure import failure_of
from genkit.config.hydra.gpus import VISIBLE, gpus, least_used
from genkit.config.hydra.launch import Outcome, SweepTask
from genkit.config.hydra.sweep import SweepJob
from genkit.config.hydra.sweep_display import Display
from genkit.errors import GenkitError
from genkit.printing import shown
from genkit.signals import ECHO, Unwind, exit_code, give_back, held_back, let_through, take_over
from genkit.stopwatch import begin_with_process

if TYPE_CHECKING:
    from genkit.config.hydra.grid import JobGrid

LOGS = "logs"  # in the sweep's folder
TICK = 0.2  # seconds between looks at signals and at what to show
WARM = "genkit.config.hydra.warm"
KILLED_AT = 3  # signals after which jobs that do not end are killed
END = ("",)  # of the jobs


@dataclass(frozen=True)
class Order:
    """The work of one process.

    Attributes:
        task: What is called.
        words: The overrides of the job.
        log: Where it prints to.
        threads: For torch, None for its own choice.
        gpu: The one that it may use, None for all that there are.
        program: argv[0] of the command.
    """

    task: SweepTask
    words: tuple[str, ...]
    log: Path
    threads: int | None
    gpu: str | None
    program: str


@dataclass(frozen=True)
class RunningJob:
    """A process that works at a job."""

    job: SweepJob
    process: Any
    results: connection.Connection
    log: Path
    gpu: str | None
    began: float


class Processes:
    """The processes of one sweep."""

    def __init__(self, grid: JobGrid) -> None:
        self.grid = grid
        self.at_once = grid.sweep.at_once
        self.threads = max(1, cores() // self.at_once) if self.at_once > 1 else None
        self.stop = Stop()
        self.gpus = gpus()
        self.running: dict[Any, RunningJob] = {}

    def run(self, jobs: Iterable[Sequence[str] | None]) -> list[Outcome]:
        """Run jobs of these words; the outcome of each.

        Args:
            jobs: Looked at where a process is free; None stands for a job that is not known yet.

        Raises:
            SystemExit: a signal asked for an end, with its exit code; all have ended.
        """
        order, more = iter(jobs), True
        started, outcomes = list[SweepJob](), dict[int, Outcome]()
        before = take_over(self.stop)
        try:
            with Display(self.grid.sweep) as display:
                while (more and not self.stop.received) or self.running:
                    while more and len(self.running) < self.at_once and not self.stop.received:
                        words = next(order, END)
                        more = words is not END
                        if words is None or words is END:
                            break
                        job = self.grid.job_of(words)
                        started.append(job)
                        self._start(job)
                        display.started(job)
                    self.stop.pass_on(running.process for running in self.running.values())
                    for job, outcome in self._ended():
                        outcomes[job.number] = outcome
                        display.ended(job)
                    display.tick(self.grid.kind.refresh)
        finally:
            for running in self.running.values():
                running.process.kill()
            give_back(before)
        if self.stop.received:
            raise SystemExit(exit_code(self.stop.received))
        return [outcomes[job.number] for job in started]

    def _start(self, job: SweepJob) -> None:
        assert self.grid.sweep.folder is not None
        logs = self.grid.sweep.folder / LOGS
        logs.mkdir(exist_ok=True)
        name = str(job.number) if job.folder is None else job.folder.name
        order = Order(self.grid.task, job.words, logs / f"{name}.log", self.threads, self._gpu(job), sys.argv[0])
        context = _context(self.grid.task.target.partition(":")[0])
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(order, sending))
        self.stop.at_once = not self.running  # the first start waits until the server has imported everything
        try:
            process.start()
        except (EOFError, ConnectionError) as error:
            raise GenkitError("the server that jobs are started from has died: type the command again") from error
        finally:
            self.stop.at_once = False
        sending.close()
        self.running[process.sentinel] = RunningJob(job, process, receiving, order.log, order.gpu, time.monotonic())
        self.grid.started(job, process.pid)

    def _gpu(self, job: SweepJob) -> str | None:
        """The GPU of a job where there are several and it needs one; a job on several devices sees them all."""
        if self.at_once == 1 or job.devices > 1:
            return None
        return least_used(self.gpus, (running.gpu for running in self.running.values()))

    def _ended(self) -> list[tuple[SweepJob, Outcome]]:
        """The jobs whose processes have ended meanwhile, noted."""
        found = []
        for sentinel in connection.wait(list(self.running), timeout=TICK):
            ended = self.running.pop(sentinel)
            ended.process.join()
            outcome = outcome_of(ended.results, ended.process.exitcode, ended.log, self.stop.received)
            self.grid.ended(ended.job, outcome.code, outcome.line, time.monotonic() - ended.began)
            found.append((ended.job, outcome))
        return found


class Stop:
    """The handler of signals while jobs run in processes of their own: each is passed on to all of them, once.

    Attributes:
        received: The first signal, 0 while none came.
        at_once: Whether no job runs, and a signal ends the command where it is.
    """

    def __init__(self) -> None:
        self.received = 0
        self.at_once = False
        self._count, self._passed = 0, 0
        self._last = float("-inf")

    def __call__(self, number: int, frame: FrameType | None) -> None:
        before, self._last = self._last, time.monotonic()
        if self._last - before > ECHO:
            self.received = self.received or number
            self._count += 1
        if self.at_once:
            raise SystemExit(exit_code(self.received))

    def pass_on(self, processes: Any) -> None:
        """Send what was received since the last call."""
        if self._count == self._passed:
            return
        self._passed = self._count
        number = signal.SIGKILL if self._count >= KILLED_AT else self.received
        for process in processes:
            if process.is_alive():
                os.kill(process.pid, number)


def work(order: Order, results: connection.Connection) -> None:
    """The job, in its process."""
    os.setsid()
    begin_with_process()
    _redirect(order.log)
    unwind = Unwind()
    take_over(unwind)
    threading.Thread(target=_watch_command, daemon=True).start()
    sys.argv = [order.program]
    if order.gpu is not None:
        os.environ[VISIBLE] = order.gpu
    if order.threads is not None:
        _limit_threads(order.threads)
    outcome = _outcome(order)
    unwind.settle()
    if unwind.received and outcome.code == 0:
        outcome = Outcome(exit_code(unwind.received), "")
    with suppress(OSError):  # the command is no more
        results.send(outcome)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(outcome.code)


def _outcome(order: Order) -> Outcome:
    try:
        let_through()
        return order.task.alone(order.words)
    except SystemExit as stop:
        return Outcome(stop.code if isinstance(stop.code, int) else 1, "")
    except KeyboardInterrupt:
        return Outcome(exit_code(signal.SIGINT), "")
    except Exception as error:
        failure = failure_of(error)
        failure.show()
        return Outcome(failure.code, failure.line)


def _redirect(log: Path) -> None:
    """Standard input from nowhere, output and error to the end of a file."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for source, targets in ((nowhere, (0,)), (file, (1, 2))):
        for target in targets:
            os.dup2(source, target)
        os.close(source)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = os.fdopen(os.dup(number), "w", buffering=1, errors="replace", encoding="utf-8")
        setattr(sys, name, stream)


def _limit_threads(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)  # of the processes that it starts
    import torch

    torch.set_num_threads(threads)


def _watch_command() -> None:
    """Stop this job when the command that started it is no more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def outcome_of(receiving: connection.Connection, code: int | None, log: Path, passed_on: int = 0) -> Outcome:
    """The outcome that a job sent, or what can be known of one that was killed.

    Args:
        receiving: Where it sends to.
        code: Of its process, negative for a signal.
        log: Where it printed to.
        passed_on: The signal that was passed on to it, 0 where none was.
    """
    try:
        found: Outcome = receiving.recv()
        return found
    except (EOFError, OSError):
        number = -(code or 0)
        if number > 0 and passed_on:
            return Outcome(exit_code(passed_on))
        if number > 0:
            name = signal.Signals(number).name if number in signal.Signals._value2member_map_ else str(number)
            return Outcome(exit_code(number), f"error: its process was killed by {name}: see {shown(log)}")
        return Outcome(code or 1, f"error: its process ended without a result: see {shown(log)}")
    finally:
        receiving.close()


def _context(module: str) -> Any:
    """The way to start processes here; on a Mac a fork is not safe once the system's libraries are loaded."""
    if not sys.platform.startswith("linux"):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([WARM, module])
    resource_tracker.ensure_running()  # while it starts it lets signals through
    with held_back():  # from the server, which Ctrl-C would reach too, and so from every job until it has handlers
        forkserver.ensure_running()
    return context
