"""Start the processes of a command on this machine, pass signals on to them, and end all when one fails.

Each process runs the command again and finds its place in the environment, as under torchrun. They live in process
groups of their own, so that Ctrl-C reaches this process alone, which passes it on once; a pipe that only this process
holds open tells them when it is gone. What a process reports at its end, its result or its one line of failure, lies in
a folder between them (`genkit.environment`): the line is then said once.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from genkit.environment import LIFELINE, REPORTS, Report, read_report
from genkit.errors import GenkitError
from genkit.printing import one_line
from genkit.signals import exit_code, give_back, take_over
from genkit.stopwatch import SPENT, Stopwatch

GRACE = 15.0  # seconds in which the others end by themselves once one has failed; then they are asked, then killed
POLL = 0.05
STDERR = "stderr-{}"


class ProcessError(GenkitError):
    """A process failed; the line and the exit code are its own."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


def run_processes(n: int, stopwatch: Stopwatch | None = None) -> Any:
    """Run this command, as sys.argv has it, in n processes; returns the result that the first one reports.

    Args:
        n: How many.
        stopwatch: Of the command, whose time so far the processes are told.

    Raises:
        ProcessError: one of them failed.
        SystemExit: a signal ended them.
    """
    with tempfile.TemporaryDirectory(prefix="genkit-processes-") as scratch, _lifeline() as alive:
        folder, port = Path(scratch), _free_port()
        group = Group([_start(rank, n, port, folder, alive, stopwatch) for rank in range(n)])
        with group.signals_passed_on():
            group.wait()
        return _outcome(group, folder)


class Group:
    """Processes that end together.

    Attributes:
        members: The processes, by rank.
        failed: Ranks in the order in which they were seen to fail.
        received: The first signal that came meanwhile, 0 for none.
    """

    def __init__(self, members: Sequence[subprocess.Popen[bytes]]) -> None:
        self.members = members
        self.failed: list[int] = []
        self.received = 0

    @contextmanager
    def signals_passed_on(self) -> Iterator[None]:
        """Inside, a signal that asks for an end is one to all members."""
        before = take_over(self._pass_on)
        try:
            yield
        finally:
            give_back(before)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or number
        self.send(number)

    def send(self, number: int) -> None:
        """Send a signal to all that live."""
        for member in self.members:
            if member.poll() is None:
                with suppress(ProcessLookupError):
                    member.send_signal(number)

    def wait(self) -> None:
        """Wait until all have ended; once one has failed, see to it."""
        steps = [signal.SIGTERM, signal.SIGKILL]
        since: float | None = None
        while any(member.poll() is None for member in self.members):
            time.sleep(POLL)
            self._note_failures()
            if not self.failed:
                continue
            since = since or time.monotonic()
            if steps and time.monotonic() - since > GRACE:
                self.send(steps.pop(0))
                since = time.monotonic()
        self._note_failures()

    def _note_failures(self) -> None:
        codes = [member.poll() for member in self.members]
        self.failed += [rank for rank, code in enumerate(codes) if code and rank not in self.failed]


def _start(
    rank: int, n: int, port: int, folder: Path, alive: int, stopwatch: Stopwatch | None
) -> subprocess.Popen[bytes]:
    place: dict[str, Any] = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n, "LOCAL_WORLD_SIZE": n, "GROUP_RANK": 0}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, LIFELINE: alive, REPORTS: folder}
    if stopwatch is not None:
        place[SPENT] = f"{stopwatch.wall()} {0.0 if rank else stopwatch.cpu()}"
    command = [sys.executable, "-m", "genkit", *sys.argv[1:]]
    with (folder / STDERR.format(rank)).open("wb") as words:
        return subprocess.Popen(
            command,
            env=os.environ | {name: str(value) for name, value in place.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if rank else None,
            stderr=words if rank else None,
            pass_fds=[alive],
            process_group=0,
        )


def _outcome(group: Group, folder: Path) -> Any:
    """The first process's result; raises for a failure."""
    reports = {rank: read_report(folder, rank) for rank in range(len(group.members))}
    codes = [member.returncode for member in group.members]
    if not any(codes):
        return reports[0].result
    if group.received and codes[0] > 128:
        raise SystemExit(codes[0])
    told = [rank for rank in group.failed if reports[rank].line and not reports[rank].follows]
    lost = [rank for rank in group.failed if codes[rank] < 0]
    rank = next(iter([*told, *lost, *group.failed]))
    if codes[rank] > 128 and not reports[rank].line:  # a signal that one process received alone
        raise SystemExit(codes[rank])
    again = f"; to continue: {reports[0].again}" if rank in lost and reports[0].again else ""
    raise ProcessError(f"{_line(rank, codes[rank], reports[rank], folder)}{again}", _code(codes[rank]))


def _line(rank: int, code: int, report: Report, folder: Path) -> str:
    if report.line:
        line = report.line.removeprefix("error: ")
        return line if rank == 0 else f"process {rank}: {line}"
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    written = (folder / STDERR.format(rank)).read_text("utf-8", "replace").strip().splitlines()
    return f"process {rank} {how}{': ' + one_line(written[-1], 200) if written else ''}"


def _code(code: int) -> int:
    return exit_code(-code) if code < 0 else code


@contextmanager
def _lifeline() -> Iterator[int]:
    """A descriptor that members read from, and that ends when this process does."""
    read, write = os.pipe()
    try:
        yield read
    finally:
        os.close(read)
        os.close(write)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
