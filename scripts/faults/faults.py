"""What the fault scripts share: genkit in processes that can be killed, tiny runs, a table of counts.

Every script takes `--n COUNT` (and `--seed`), prints a table, and exits with 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "commands"))
from command_cases import FAMILIES, SERVER, TOY

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and so it would be in every child

OTHER_DEVICE = Path("/dev/shm")
QUICK = ("trainer=cpu", "data.batch_size=32")
SILENT = ("run.json", "config.yaml", "report.html", ".lock")  # files that tell of commands, processes and times


def train(family: str, *more: str) -> list[str]:
    """The words of a tiny training."""
    data = TOY if family == "flow" else ()
    return ["train", f"model={family}", *FAMILIES[family], *data, *QUICK, *more]


@dataclass(frozen=True)
class Done:
    """How a process ended: exit code (negative: the signal that killed it), what it printed, and in what time."""

    code: int | None
    said: str
    seconds: float


class Child:
    """`genkit argv` in a process of its own, through the real entry point.

    Args:
        argv: The command line without the program's name.
        cwd: Its working directory.
        tmpdir: Its TMPDIR.
        limits: Resource limits, e.g. {resource.RLIMIT_FSIZE: 10**6}.
        environment: More variables of its environment.
    """

    def __init__(
        self,
        argv: list[str],
        cwd: Path,
        tmpdir: Path | None = None,
        limits: Mapping[int, int] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        handle, name = tempfile.mkstemp(prefix="genkit-log-")
        os.close(handle)
        self.log, self.started = Path(name), time.monotonic()
        self.process = SERVER.Process(
            target=_entry, args=(argv, cwd, self.log, tmpdir, dict(limits or {}), dict(environment or {}))
        )
        self.process.start()

    def wait(self, seconds: float = 600.0) -> Done:
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            print(f"killed after {seconds} s", file=sys.stderr)
        said = self.log.read_text(errors="replace")
        self.log.unlink()
        return Done(self.process.exitcode, said, time.monotonic() - self.started)

    def kill(self, number: int = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid or 0, number)


def _entry(
    argv: list[str],
    cwd: Path,
    log: Path,
    tmpdir: Path | None,
    limits: Mapping[int, int],
    environment: Mapping[str, str],
) -> None:
    import torch

    from genkit import cli

    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.environ.update(environment)
    if tmpdir is not None:
        os.environ["TMPDIR"], tempfile.tempdir = str(tmpdir), None
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(cwd)
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    sys.argv = ["genkit", *argv]
    code = cli.main()
    sys.stdout.flush()
    sys.exit(code)


def run_genkit(*argv: str | Path) -> tuple[int, str]:
    """`genkit argv` in this process: its exit code and everything that it said."""
    from genkit import cli

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = cli.main([str(word) for word in argv])
    return code, out.getvalue()


def digest(folder: Path) -> dict[str, str]:
    """Every file of a run by its sha256, but those that tell of processes and times."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in SILENT]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def leftovers(*folders: Path) -> list[Path]:
    """Temporary entries below these folders."""
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.name.endswith((".tmp", ".part"))]


@dataclass
class Tally:
    """Counts by name, and the promises that were broken."""

    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, what: str, n: int = 1) -> None:
        self.counts[what] += n

    def expect(self, right: bool, what: str, detail: str = "") -> bool:
        """Counts a promise as broken where it is."""
        self.counts[what] += not right
        if not right:
            self.broken.append(f"{what}: {detail}")
        return right

    def conclude(self, title: str) -> int:
        """Prints the table; the exit code."""
        print(title)
        for name, count in self.counts.items():
            print(f"  {count:>6}  {name}")
        for line in self.broken[:20]:
            print(f"BROKEN  {line}")
        return int(bool(self.broken))


def options(doc: str | None, n: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=n, help=f"how many ({n})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None, help="where to work; default: a temporary folder here")
    return parser.parse_args()


@contextlib.contextmanager
def workplace(folder: Path | None):  # type: ignore[no-untyped-def]
    """A folder to work in, empty, on the device of the working directory; removed at the end unless it was named."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="faults-", dir=".") as name:
        yield Path(name).resolve()
