"""Every signal that ends a job, at moments spread over a training, alone and as a job of SLURM; over sample and eval.

    python scripts/faults/stops.py --n 20
    python scripts/faults/stops.py --n 20 --signals SIGHUP SIGUSR1

The exit code is 128 + the signal's number, no finished step is lost, `run.json` names the signal and the step, nothing
is left half-written, and Lightning neither refuses nor requeues the job. A second signal while the first one's
checkpoint is being written ends the run at once, and a checkpoint that is whole stands. Of samples or scores that were
begun nothing is left. A terminal that is closed under a training (SIGHUP, and every later write fails) costs no step.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from faults import Child, Tally, leftovers, train, workplace
from moments import PLAN, STEPS, logged, shares, wait_for

from genkit.checkpoint.read import find_checkpoint
from genkit.checkpoint.retention import step_folders
from genkit.checkpoint.verify import verify_checkpoint
from genkit.signals import ENDING

SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODELIST": "node1",
}
PLACES: dict[str, Mapping[str, str]] = {"alone": {}, "slurm": SLURM}


def shell_code(code: int | None) -> int | None:
    """What a shell makes of a process's end: one that a signal killed, before it took the signal over, is 128 + it."""
    return 128 - code if code is not None and code < 0 else code


def stopped(number: signal.Signals, place: str, share: float, start: float, work: Path, tally: Tally) -> None:
    """A signal at a moment of a training; `start` is the time that it needs for its first step."""
    child, run = Child(train("vae", *PLAN), work, environment=PLACES[place]), work / "run"
    wait_for(child, run, share, start)
    sent, early = time.monotonic(), logged(run) < STEPS
    child.kill(number)
    done = child.wait()
    if not early:
        tally.add("signals that came after the end")
        return
    name, at = f"{number.name} {place}", f"{share:.2f}: {done.code} {done.said[-300:]}"
    tally.add(name)
    tally.counts["slowest stop, ms"] = max(tally.counts["slowest stop, ms"], int(1000 * (time.monotonic() - sent)))
    tally.expect(shell_code(done.code) == 128 + number, f"{name}: another exit code", at)
    tally.expect("Traceback" not in done.said and "requeue" not in done.said, f"{name}: what it said", at)
    tally.add("stops after the first step", int(logged(run) > 0))
    told(run, number, name, at, tally)
    tally.expect(not leftovers(work), f"{name}: leftovers", str(leftovers(work)[:3]))


def told(run: Path, number: signal.Signals, name: str, at: str, tally: Tally, lost: bool = False) -> None:
    """What stands in a run folder, where there is one, and what its run.json says of it."""
    if not run.is_dir():
        tally.add("stops before there was a run folder")
        return
    saved = find_checkpoint(run).step if step_folders(run) else 0
    for folder in step_folders(run):
        verify_checkpoint(folder)
    record = json.loads((run / "run.json").read_text())
    found = {key: record.get(key) for key in ("status", "signal", "exit_code", "step")}
    true = {"status": "interrupted", "signal": number.name, "exit_code": 128 + number, "step": saved}
    tally.expect(found == true, f"{name}: run.json", f"{found}, not {true}; {at}")
    tally.expect(lost or saved >= logged(run), f"{name}: steps lost", f"{saved} of {logged(run)}; {at}")


def hurried(pause: float, share: float, work: Path, tally: Tally) -> None:
    """SIGINT, and once more while its checkpoint is being written or about to be."""
    child, run = Child(train("vae", *PLAN), work), work / "run"
    wait_for(child, run, share, 0.0)
    child.kill(signal.SIGINT)
    time.sleep(pause)
    child.kill(signal.SIGINT)
    done = child.wait()
    at = f"{pause}: {done.code} {done.said[-300:]}"
    tally.add("a second SIGINT")
    tally.expect(done.code == 130 and "Traceback" not in done.said, "a second SIGINT: the end", at)
    tally.add("a second SIGINT that left an older checkpoint", int(find_checkpoint(run).step < logged(run)))
    told(run, signal.SIGINT, "a second SIGINT", at, tally, lost=True)
    tally.add("a second SIGINT that left a file to be swept", int(bool(leftovers(work))))
    again = Child(["train", "resume=run"], work).wait()
    right = again.code == 0 and not leftovers(work)
    tally.expect(right, "a second SIGINT: resumed", f"{again.code} {again.said[-300:]} {leftovers(work)[:3]}")


def closed_terminal(share: float, work: Path, tally: Tally) -> None:
    """A training in a terminal of its own that is closed."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "genkit", *train("vae", *PLAN)]
    child = subprocess.Popen(command, cwd=work, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    run, begin = work / "run", time.monotonic()
    while child.poll() is None and logged(run) < share * STEPS and time.monotonic() < begin + 300:
        time.sleep(0.002)
    os.close(ours)
    child.send_signal(signal.SIGHUP)  # as the kernel does for whom the terminal controls
    code = child.wait(300)
    tally.add("a terminal that is closed")
    tally.expect(code == 129, "a terminal that is closed: another exit code", f"{share}: {code}")
    told(run, signal.SIGHUP, "a terminal that is closed", str(share), tally)


def elsewhere(chosen: list[signal.Signals], n: int, run: Path, work: Path, tally: Tally) -> None:
    """Signals at moments of sampling and of an evaluation."""
    for verb, words in {"sample": ["n=20000"], "eval": ["n=2000", "baselines=false"]}.items():
        argv, place = [verb, f"ckpt={run}", "batch_size=100", *words], work / verb
        place.mkdir()
        for number in range(2):  # the first one fills caches
            whole = Child([*argv, f"out=out-{number}"], place).wait()
            assert whole.code == 0, whole.said
        for number, name in itertools.product(range(n), chosen):
            place = work / f"{verb}-{number}-{name.name}"
            place.mkdir()
            child = Child([*argv, "out=out"], place)
            child.process.join(0.6 * (number + 0.5) / n * whole.seconds)
            early = child.process.is_alive()
            child.kill(name)
            done = child.wait()
            if not early:
                tally.add("signals that came after the end")
                continue
            at = f"{name.name}, moment {number}: {done.code} {done.said[-200:]}"
            tally.add(f"a signal to {verb}")
            tally.expect(shell_code(done.code) == 128 + name, f"a signal to {verb}: another exit code", at)
            tally.expect("Traceback" not in done.said, f"a signal to {verb}: tracebacks", at)
            tally.expect(not any(place.iterdir()), f"a signal to {verb}: leftovers", str(list(place.iterdir())))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20, help="moments of each signal (20)")
    names = [number.name for number in ENDING]
    parser.add_argument("--signals", nargs="+", choices=names, default=names)
    arguments, tally = parser.parse_args(), Tally()
    chosen, n = [signal.Signals[name] for name in arguments.signals], arguments.n
    with workplace(None) as work:
        for name in ("warm", "straight"):  # the first process waits for the imports of the server
            (work / name).mkdir()
            straight, begun = Child(train("vae", *PLAN), work / name), time.monotonic()
            wait_for(straight, work / name / "run", 1 / STEPS, 0.0)
            start, whole = time.monotonic() - begun, straight.wait()
            assert whole.code == 0, whole.said
        for number, place, (i, share) in itertools.product(chosen, PLACES, enumerate(shares(n))):
            folder = work / f"{number.name}-{place}-{i}"
            folder.mkdir()
            stopped(number, place, share, start, folder, tally)
        for i in range(n):
            (work / f"hurried-{i}").mkdir()
            hurried(0.002 * i, 0.1 + 0.8 * i / n, work / f"hurried-{i}", tally)
        for i in range(max(1, n // 5)):
            (work / f"closed-{i}").mkdir()
            closed_terminal(0.1 + 0.8 * i * 5 / n, work / f"closed-{i}", tally)
        elsewhere(chosen, max(1, n // 5), work / "straight" / "run", work, tally)
    return tally.conclude("stops")


if __name__ == "__main__":
    sys.exit(main())
