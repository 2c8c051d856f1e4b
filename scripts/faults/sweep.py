"""A sweep of many jobs, some of which fail, that is killed again and again: what is done is never done twice.

    python scripts/faults/sweep.py --n 100

Every twentieth job diverges. The sweep is killed three times, each time at a random moment of what is left, and
started again by the same words. Then a value is put into the middle of the grid, and only its jobs are run.
"""

from __future__ import annotations

import csv
import random
import sys
import time
from pathlib import Path

from faults import Child, Done, Tally, leftovers, options, train, workplace

from genkit.checkpoint.run_folder import RUN, read_info
from genkit.checkpoint.verify import verify_checkpoint
from genkit.errors import GenkitError

KILLS, FAILING = 3, 20
RATES = ["1e12", *(f"{k}e-4" for k in range(1, FAILING))]
BETWEEN = "15e-5"  # between 1e-4 and 2e-4


def words(n: int, rates: list[str], at_once: int) -> list[str]:
    seeds = ",".join(map(str, range(n // FAILING)))
    plan = ("trainer.max_steps=4", "trainer.gradient_clip=0", "checkpoint.every_n_steps=2", "samples.every_n_steps=0")
    more = (f"optimizer.lr={','.join(rates)}", f"seed={seeds}", "run_dir=runs", f"sweep.jobs={at_once}")
    verb, *rest = train("vae", *plan, "trainer.val_every_n_steps=2", *more)
    return [verb, "-m", *rest]


def finished(runs: Path) -> dict[str, int]:
    """When each job that is done wrote its last word."""
    return {path.parent.name: path.stat().st_mtime_ns for path in runs.glob("*/" + RUN) if is_done(path)}


def is_done(path: Path) -> bool:
    try:
        return bool(read_info(path)["status"] == "done")
    except (GenkitError, OSError):
        return False


def rows(runs: Path) -> list[dict[str, str]]:
    """The table of the sweep."""
    return list(csv.DictReader((runs / "sweep.csv").open(newline="")))


def grow(n: int, at_once: int, work: Path, tally: Tally) -> Done:
    """Put a value into the middle of the grid."""
    runs, new = work / "runs", n // FAILING
    before = finished(runs)
    done = Child(words(n, [*RATES[:2], BETWEEN, *RATES[2:]], at_once), work).wait()
    now = finished(runs)
    tally.add("jobs of a value added in the middle", len(now) - len(before))
    tally.expect(len(now) == len(before) + new, "not only the new jobs ran", f"{len(now)} after {len(before)}")
    tally.expect(all(now.get(name) == when for name, when in before.items()), "finished jobs ran again", "")
    fresh = [row for row in rows(runs) if row["status"] == "done"]
    tally.expect(len(fresh) == new, "the table tells of others", str(len(fresh)))
    return done


def main() -> int:
    arguments, tally = options(__doc__, 100), Tally()
    dice, n, before, at_once = random.Random(arguments.seed), arguments.n, dict[str, int](), 2
    with workplace(arguments.folder) as work:
        runs = work / "runs"
        while True:
            child = Child(words(n, RATES, at_once), work)
            if tally.counts["kills"] < KILLS:
                goal = len(before) + dice.randint(1, n // (KILLS + 1))
                while child.process.is_alive() and len(finished(runs)) < goal:
                    child.process.join(dice.uniform(0.0, 0.2))
                child.kill()
            done = child.wait(3600)
            if done.code == -9:
                time.sleep(dice.uniform(0.0, 1.0))  # the jobs that ran are ending, or have ended
            now = finished(runs)
            again = [name for name, when in before.items() if now.get(name) != when]
            tally.expect(not again, "jobs run twice after they had finished", str(again[:3]))
            before = now
            if done.code != -9:
                break
            tally.add("kills")
        failing = n // FAILING
        tally.add("jobs done", len(before))
        tally.expect(len(before) == n - failing, "jobs lost", f"{len(before)} of {n - failing}")
        told = [row["status"] for row in rows(runs)]
        tally.add("rows in the table", len(told))
        good = sum(status in ("done", "skipped") for status in told)
        tally.expect(len(told) == n and good == n - failing, "the table is wrong", f"{len(told)} rows, {good} good")
        tally.expect(done.code == 5 and f"{failing} of {n} jobs failed" in done.said, "not told", done.said[-300:])
        grown = grow(n, at_once, work, tally)
        tally.expect(grown.code == 5, "not told of the failures again", grown.said[-300:])
        tally.expect(not leftovers(work), "leftovers", str(leftovers(work)[:3]))
        for folder in runs.glob("*/checkpoints/*"):
            verify_checkpoint(folder)
            tally.add("checkpoints verified")
    return tally.conclude("a sweep that is killed, and grows")


if __name__ == "__main__":
    sys.exit(main())
