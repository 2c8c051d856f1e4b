"""Signals, a full disk and a folder that turns read-only at moments spread over a run; runs that start together.

    python scripts/faults/moments.py --n 20

SIGTERM: the exit code is 143 once the run exists, and no finished step is lost. A disk that is full (a limit on the
size of files) or a folder that may not be written: never a success, never an older checkpoint lost. Eight processes
that make a run folder in the same second make eight.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from faults import SERVER, Child, Tally, leftovers, options, train, workplace

from genkit.checkpoint.read import find_checkpoint
from genkit.checkpoint.retention import step_folders
from genkit.checkpoint.run_folder import RunFolder
from genkit.checkpoint.verify import verify_checkpoint

PLAN = ("trainer.max_steps=120", "checkpoint.every_n_steps=10", "checkpoint.keep=3", "trainer.val_every_n_steps=25")
PLAN += ("trainer.log_every_n_steps=1", "samples.every_n_steps=0", "run_dir=run")
STARTS = 8


def terminated(number: int, n: int, life: float, work: Path, tally: Tally) -> None:
    """SIGTERM after a share of a run's life that grows with the number."""
    child = Child(train("vae", *PLAN), work)
    child.process.join(0.7 * life * (number + 0.5) / n)  # of a life that a busy machine may shorten
    child.kill(signal.SIGTERM)
    sent = time.monotonic()
    done, run = child.wait(), work / "run"
    tally.add("SIGTERM")
    tally.counts["slowest stop, ms"] = max(tally.counts["slowest stop, ms"], int(1000 * (time.monotonic() - sent)))
    ended = done.code == 0 and run.is_dir() and find_checkpoint(run).step == 120
    tally.add("ended before the signal", int(ended))
    tally.expect(done.code == 143 or ended, "SIGTERM: another exit code", f"{number}: {done.code} {done.said[-200:]}")
    tally.expect("Traceback" not in done.said, "SIGTERM: tracebacks", done.said[-300:])
    logged = (run / "metrics.jsonl").read_text().splitlines() if (run / "metrics.jsonl").is_file() else []
    finished = max((int(line.split(",")[0].split(":")[1].strip("} ")) for line in logged), default=0)
    saved = find_checkpoint(run).step if run.is_dir() and step_folders(run) else 0
    tally.expect(saved >= finished, "SIGTERM: steps lost", f"{number}: step {saved} saved, {finished} finished")
    tally.expect(not leftovers(work), "SIGTERM: leftovers", str(leftovers(work)[:3]))


def refuse_from(call: int, code: int, argv: list[str], cwd: Path, log: Path) -> None:
    """`genkit argv` in a process whose `call`-th and every later write of a file or folder is refused by the disk."""
    import builtins

    from command_cases import _entry

    here, calls = str(cwd), [0]

    def guarded(function: Any, position: int = 0) -> Any:
        def call_it(*args: Any, **kwargs: Any) -> Any:
            path = args[position] if args else ""
            writes = function is not builtins_open or any(c in str(args[1:2]) + str(kwargs) for c in "wxa+")
            if isinstance(path, str | os.PathLike) and writes and os.path.abspath(path).startswith(here + os.sep):
                calls[0] += 1
                if calls[0] >= call:
                    raise OSError(code, os.strerror(code), str(path))
            return function(*args, **kwargs)

        return call_it

    builtins_open = builtins.open
    import io
    import pathlib

    builtins.open = guarded(builtins_open)  # type: ignore[assignment]
    io.open = builtins.open  # type: ignore[assignment]
    os.mkdir, os.rename = guarded(os.mkdir), guarded(os.rename)
    pathlib.io.open = builtins.open  # type: ignore[attr-defined]
    _entry(argv, cwd, log, {})


def refused(number: int, code: int, work: Path, tally: Tally) -> None:
    """A disk that refuses from some moment on: the begin of the run, one of its checkpoints, or its end."""
    log = work.parent / f"log-{number}"
    call = 1 + 7 * (number // 2)
    process = SERVER.Process(target=refuse_from, args=(call, code, train("vae", *PLAN), work, log))
    process.start()
    process.join(300)
    said, run, name = log.read_text(), work / "run", errno.errorcode[code]
    tally.add(f"refused by the disk: {name}")
    tally.expect(process.exitcode == 6, f"{name}: another exit code", f"{call}: {process.exitcode} {said[-300:]}")
    tally.expect("done:" not in said and "Traceback" not in said, f"{name}: a success, or a traceback", said[-300:])
    folders = step_folders(run) if run.is_dir() else []
    for folder in folders:
        verify_checkpoint(folder)
    tally.add("checkpoints that stand after it", len(folders))
    if folders:
        tally.expect(find_checkpoint(run).path in folders, f"{name}: checkpoints lost", str(folders))


def make_run(second: float, root: Path) -> None:
    time.sleep(max(0.0, second - time.time()))
    with RunFolder.create(None, "train", "together", config="", info={}, root=root) as folder:
        time.sleep(0.2)
        assert folder.path.is_dir()


def together(root: Path, tally: Tally) -> None:
    second = int(time.time()) + 1.0
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=make_run, args=(second, root)) for _ in range(STARTS)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    made = len(list((root / "train").iterdir()))
    right = made == STARTS and all(child.exitcode == 0 for child in children)
    tally.add("eight starts in one second")
    tally.expect(right, "starts that share a folder", f"{made} folders")


def main() -> int:
    arguments, tally = options(__doc__, 20), Tally()
    with workplace(arguments.folder) as work:
        for number in range(arguments.n):
            together(work / f"together-{number}", tally)
        for name in ("warm", "straight"):  # the first process waits for the imports of the server
            (work / name).mkdir()
            straight = Child(train("vae", *PLAN), work / name).wait()
            assert straight.code == 0, straight.said
        for number in range(arguments.n):
            for name in ("term", "disk"):
                (work / f"{name}-{number}").mkdir()
            terminated(number, arguments.n, straight.seconds, work / f"term-{number}", tally)
            refused(number, (errno.ENOSPC, errno.EROFS)[number % 2], work / f"disk-{number}", tally)
    return tally.conclude("moments")


if __name__ == "__main__":
    sys.exit(main())
