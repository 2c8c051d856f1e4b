"""A full disk and a folder that turns read-only at moments spread over a run; runs that start together.

    python scripts/faults/moments.py --n 20

A disk that is full or read-only: never a success, never an older checkpoint lost, and the run that is resumed when
there is room again ends with the files of one that nobody disturbed. Where this user may mount (root on Linux) the disk
is a real one, of memory, that is filled or made read-only under the run; and everywhere each kind of write is refused
by this process itself. Eight processes that make a run folder in the same second make eight.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faults import SERVER, Child, Tally, digest, leftovers, options, train, workplace

from genkit.checkpoint.read import find_checkpoint
from genkit.checkpoint.retention import step_folders
from genkit.checkpoint.run_folder import RunFolder
from genkit.checkpoint.verify import verify_checkpoint

STEPS = 120
PLAN = (
    f"trainer.max_steps={STEPS}",
    "checkpoint.every_n_steps=10",
    "checkpoint.keep=3",
    "trainer.val_every_n_steps=25",
)
PLAN += ("trainer.log_every_n_steps=1", "samples.every_n_steps=0", "run_dir=run")
STARTS = 8
DISK = "size=64m"


def logged(run: Path) -> int:
    """The last step of which a run has told."""
    try:
        return int(json.loads((run / "metrics.jsonl").read_bytes().splitlines()[-1])["step"])
    except (OSError, ValueError, IndexError):
        return 0


def wait_for(child: Child, run: Path, share: float, life: float) -> None:
    """Until a run has done this share of its steps; a negative one is a share of the time before its first."""
    begin = time.monotonic()
    if share <= 0:
        end = begin + max(0.2, -share * life)  # at first the process finds signals as the server had left them
        while child.process.is_alive() and logged(run) == 0 and time.monotonic() < end:
            time.sleep(0.002)
        return
    while child.process.is_alive() and logged(run) < share * STEPS and time.monotonic() < begin + 300:
        time.sleep(0.002)


def shares(n: int) -> list[float]:
    """Moments over a run: a fifth of them before its first step, none of them at its very end."""
    early = n // 5
    return [-0.9 * (i + 0.5) / early for i in range(early)] + [0.95 * i / (n - early) for i in range(n - early)]


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A disk of memory mounted at `place`. Raises CalledProcessError where this user may not mount."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(place)], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def may_mount(place: Path) -> bool:
    try:
        with small_disk(place):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def fill(disk: Path) -> None:
    """Leaves no byte free."""
    with (disk / "ballast").open("ab", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def remount(disk: Path, mode: str) -> bool:
    """ "ro" is refused while a file is open for writing."""
    argv = ["mount", "-o", f"remount,{mode}", str(disk)]
    return subprocess.run(argv, capture_output=True).returncode == 0


def starved(kind: str, share: float, start: float, truth: dict[str, str], place: Path, tally: Tally) -> None:
    """A real disk that is full, or read-only, from a moment on."""
    with small_disk(place) as disk:
        child, run = Child(train("vae", *PLAN), disk), disk / "run"
        wait_for(child, run, share, start)
        if kind == "full":
            child.kill(signal.SIGSTOP)  # to fill it takes as long as many steps
            fill(disk)
            child.kill(signal.SIGCONT)
            while child.process.is_alive():  # also what a pruned checkpoint leaves
                fill(disk)
                child.process.join(0.01)
        else:
            while child.process.is_alive() and not remount(disk, "ro"):
                pass
        done, name = child.wait(), f"a disk that is {kind}"
        tally.add(name)
        tally.expect(done.code == 6, f"{name}: another exit code", f"{share}: {done.code} {done.said[-300:]}")
        tally.expect("done:" not in done.said and "Traceback" not in done.said, f"{name}: a success", done.said[-300:])
        said = "run" in done.said and ("bytes needed" if kind == "full" else "cannot write") in done.said
        tally.expect(said, f"{name}: not said", f"{share}: {done.said[-300:]}")
        stand = step_folders(run) if run.is_dir() else []
        for folder in stand:
            verify_checkpoint(folder)
        tally.add("checkpoints that stand after it", len(stand))
        due = min(3, (logged(run) - 1) // 10)  # the step that was told of last may have failed to be written
        tally.expect(len(stand) >= due, f"{name}: checkpoints lost", f"{logged(run)}: {stand}")
        (disk / "ballast").unlink(missing_ok=True) if kind == "full" else remount(disk, "rw")
        again = Child(["train", "resume=run"] if (run / "run.json").is_file() else train("vae", *PLAN), disk).wait()
        same = again.code == 0 and digest(run) == truth and not leftovers(disk)
        tally.expect(same, f"{name}: another end than in peace", f"{share}: {again.code} {again.said[-300:]}")


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
    tally.add("checkpoints that stand after a refusal", len(folders))
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
    n: int = arguments.n
    with workplace(arguments.folder) as work:
        for number in range(n):
            together(work / f"together-{number}", tally)
        for name in ("warm", "straight", "disk"):  # the first process waits for the imports of the server
            (work / name).mkdir()
        for name in ("warm", "straight"):
            straight, begun = Child(train("vae", *PLAN), work / name), time.monotonic()
            wait_for(straight, work / name / "run", 1 / STEPS, 0.0)
            start, whole = time.monotonic() - begun, straight.wait()
            assert whole.code == 0, whole.said
        truth = digest(work / "straight" / "run")
        if may_mount(work / "disk"):
            for share, kind in itertools.product(shares(n), ("full", "read-only")):
                starved(kind, share, start, truth, work / "disk", tally)
        else:
            tally.add("real disks, which only root may mount")
        for number in range(n):
            (work / f"disk-{number}").mkdir()
            refused(number, (errno.ENOSPC, errno.EROFS)[number % 2], work / f"disk-{number}", tally)
    return tally.conclude("moments")


if __name__ == "__main__":
    sys.exit(main())
