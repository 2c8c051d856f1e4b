"""A sweep of many jobs, some of which fail, that is killed again and again: what is done is never done twice.

    python scripts/faults/sweep.py --n 100

Every twentieth job diverges. The sweep is killed three times, each time at a random moment of what is left, and
started again by the same words.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from faults import Child, Tally, leftovers, options, train, workplace

from genkit.checkpoint.run_folder import RUN, read_info
from genkit.checkpoint.verify import verify_checkpoint

KILLS, FAILING = 3, 20
RATES = "optimizer.lr=" + ",".join(["1e12", *(f"{k}e-4" for k in range(1, FAILING))])


def words(n: int) -> list[str]:
    seeds = ",".join(map(str, range(n // FAILING)))
    plan = ("trainer.max_steps=4", "trainer.gradient_clip=0", "checkpoint.every_n_steps=2", "samples.every_n_steps=0")
    verb, *rest = train("vae", *plan, RATES, f"seed={seeds}", "run_dir=runs")
    return [verb, "-m", *rest]


def finished(runs: Path) -> dict[str, int]:
    """When each job that is done wrote its last word."""
    places = [path for path in runs.glob("*/" + RUN) if read_info(path)["status"] == "done"]
    return {path.parent.name: path.stat().st_mtime_ns for path in places}


def main() -> int:
    arguments, tally = options(__doc__, 100), Tally()
    dice, n, before = random.Random(arguments.seed), arguments.n, dict[str, int]()
    with workplace(arguments.folder) as work:
        runs = work / "runs"
        while True:
            child = Child(words(n), work)
            if tally.counts["kills"] < KILLS:
                goal = len(before) + dice.randint(1, n // (KILLS + 1))
                while child.process.is_alive() and len(finished(runs)) < goal:
                    child.process.join(dice.uniform(0.0, 0.2))
                child.kill()
            done = child.wait()
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
        tally.expect(done.code == 5 and f"{failing} of {n} jobs failed" in done.said, "not told", done.said[-300:])
        tally.expect(not leftovers(work), "leftovers", str(leftovers(work)[:3]))
        for folder in runs.glob("*/checkpoints/*"):
            verify_checkpoint(folder)
            tally.add("checkpoints verified")
    return tally.conclude("a sweep that is killed")


if __name__ == "__main__":
    sys.exit(main())
