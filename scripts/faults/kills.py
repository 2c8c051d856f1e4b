"""SIGKILL at random moments of a run, and in the middle of writing a checkpoint: nothing is lost, nothing differs.

    python scripts/faults/kills.py --n 100 --aimed 30

Models of every family train, are killed at a random moment of their life and resumed, until they end; then all of their
files are compared with those of a run that nobody disturbed. In half of the runs TMPDIR lies on another device.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from faults import FAMILIES, OTHER_DEVICE, Child, Tally, digest, leftovers, train, workplace

from genkit.checkpoint.read import find_checkpoint
from genkit.checkpoint.retention import step_folders
from genkit.errors import CheckpointError

PLAN = ("trainer.max_steps=120", "checkpoint.every_n_steps=7", "trainer.val_every_n_steps=25")
PLAN += ("samples.every_n_steps=50", "samples.n=8")
WRITES = ("trainer.max_steps=150", "checkpoint.every_n_steps=1", "samples.every_n_steps=0", "backbone.width=256")
MOST = 60  # seconds of waiting for a write


def words(family: str, aimed: bool) -> list[str]:
    return train(family, *(WRITES if aimed else PLAN), "run_dir=run")


def newest(run: Path) -> int:
    """Step of the checkpoint that a resume would take; -1 where none was written yet, -2 where all are lost."""
    try:
        return find_checkpoint(run).step if step_folders(run) else -1
    except CheckpointError:
        return -2


def next_words(run: Path, family: str, aimed: bool) -> list[str]:
    return ["train", "resume=run"] if (run / "run.json").is_file() else words(family, aimed)


def random_kill(child: Child, life: float, dice: random.Random) -> bool:
    """Kills it at a random moment of its life; False where it ended before."""
    child.process.join(dice.uniform(0.0, life))
    alive = child.process.is_alive()
    child.kill()
    return alive


def aimed_kill(child: Child, run: Path, dice: random.Random) -> bool:
    """Kills it while a checkpoint is being written."""
    checkpoints, end = run / "checkpoints", time.monotonic() + MOST
    skip = dice.randrange(4)  # not always the first one
    while child.process.is_alive() and time.monotonic() < end:
        if checkpoints.is_dir() and any(entry.name.endswith(".tmp") for entry in checkpoints.iterdir()):
            if not skip:
                time.sleep(dice.uniform(0.0, 0.004))
                child.kill()
                return True
            skip -= 1
            time.sleep(0.005)
    child.kill()
    return False


def campaign(family: str, kills: int, aimed: bool, tmpdir: Path, work: Path, tally: Tally, dice: random.Random) -> None:
    """`kills` kills of runs of one family."""
    straight = work / "straight"
    straight.mkdir(parents=True)
    whole = Child(words(family, aimed), straight).wait()
    assert whole.code == 0, whole.said
    truth, done, number = digest(straight / "run"), 0, 0
    while done < kills:
        number += 1
        cwd = work / str(number)
        cwd.mkdir()
        run, before = cwd / "run", -1
        while True:
            child = Child(next_words(run, family, aimed), cwd, tmpdir)
            hit = False
            if done < kills:
                hit = aimed_kill(child, run, dice) if aimed else random_kill(child, 1.3 * whole.seconds, dice)
            ended = child.wait()
            after = newest(run) if run.is_dir() else -1
            tally.expect(after >= before, "checkpoints lost", f"{run}: step {before} before the kill, {after} after it")
            before = max(before, after)
            if hit and ended.code == -9:
                done += 1
                tally.add(f"{'aimed kills' if aimed else 'random kills'}, TMPDIR on {device(tmpdir)}")
                tally.add("left half-written by a kill, before the resume", len(leftovers(cwd)))
            elif ended.code != -9:
                break
        tally.expect(ended.code == 0, "resumes that fail", f"{run}: {ended.said[-300:]}")
        tally.add("runs compared")
        now = digest(run)
        differs = sorted(name for name in truth.keys() | now.keys() if truth.get(name) != now.get(name))
        tally.expect(not differs, "runs that are not bit-identical", f"{family}: {run}: {differs[:4]}")
        left = [*leftovers(cwd), *tmpdir.iterdir()]
        tally.expect(not left, "leftovers", f"{run}: {left[:4]}")
        print(f"{family}: {done} of {kills} kills", flush=True)
        if not (differs or left):
            shutil.rmtree(cwd)


def device(tmpdir: Path) -> str:
    return "another device" if OTHER_DEVICE in tmpdir.parents else "the same device"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100, help="random kills (100)")
    parser.add_argument("--aimed", type=int, default=30, help="kills aimed at a write (30)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tally, dice = Tally(), random.Random(arguments.seed)
    families = list(FAMILIES)
    with workplace(None) as work, tempfile.TemporaryDirectory(prefix="genkit-kills-", dir=OTHER_DEVICE) as other:
        Child(["--version"], work).wait()  # the server imports what is heavy, which is no part of a run's life
        (work / "tmp").mkdir()
        places = [work / "tmp", Path(other)]
        for i in range(2 * len(families)):
            family, tmpdir = families[i % len(families)], places[i // len(families)]
            share = (arguments.n + i) // (2 * len(families))
            if share:
                campaign(family, share, False, tmpdir, work / f"random-{i}", tally, dice)
        for i, tmpdir in enumerate(places):
            if share := (arguments.aimed + i) // 2:
                campaign("vae", share, True, tmpdir, work / f"aimed-{i}", tally, dice)
    return tally.conclude("kills")


if __name__ == "__main__":
    sys.exit(main())
