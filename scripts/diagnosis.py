"""Train every planted fault and every healthy run of tests/diagnosis/planted.py, and print how they are diagnosed.

    python scripts/diagnosis.py FOLDER [KIND…] [--runs N]

All of them take about twenty minutes of one core, the first N of each kind less. Runs that stand finished in FOLDER are
not trained again, and one that was killed is continued: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "diagnosis"))

from planted import HEALTHY_RUNS, KINDS, RUNS, planted

from genkit import cli
from genkit.assembly.diagnosis import faults_of
from genkit.assembly.run_facts import facts_of

HEALTHY = "healthy"


def main() -> None:
    """Print a line for each kind: in how many runs its fault is named, and what else is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join([*KINDS, HEALTHY])}; without it, all")
    parser.add_argument("--runs", type=int, help="of each kind; without it, all")
    args = parser.parse_args()
    if unknown := {*args.kinds} - {*KINDS, HEALTHY}:
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; choose from {', '.join([*KINDS, HEALTHY])}")
    for kind in args.kinds or [*KINDS, HEALTHY]:
        names = [diagnosed(run.words, args.folder / run.name) for run in islice(runs_of(kind), args.runs)]
        others = Counter(name for found in names for name in found if name != kind)
        said = ", ".join(f"{name} in {n}" for name, n in others.most_common()) or "none"
        named = "" if kind == HEALTHY else f"named in {sum(kind in found for found in names)} of {len(names)}; "
        print(f"{kind}: {named}others of {len(names)}: {said}", flush=True)


def runs_of(kind: str):
    return planted(kind, HEALTHY_RUNS if kind == HEALTHY else RUNS)


def diagnosed(words: tuple[str, ...], run: Path) -> list[str]:
    """The faults of one training."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if facts_of(run).status not in ("done", "failed"):
            cli.main([*words, f"run_dir={run}", "resume=auto"])
        cli.main(["diagnose", str(run)])
    return [fault.name for fault in faults_of(facts_of(run))]


if __name__ == "__main__":
    main()
