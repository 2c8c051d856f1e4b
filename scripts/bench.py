"""Speed as one page of ratios: `python scripts/bench.py [NAME …] [--full]`.

Each row is the same work done by genkit and by somebody else, in turns within one run, so that what else the machine
does falls on both. A ratio is genkit's cost divided by the other's, below 1 where genkit takes less: the median over
rounds, with the lowest and the highest. A NAME is a row's or the beginning of some (`metrics`, `metrics-fid`), which
then are measured even where a quick page leaves them out; `--full` takes all rows and three times the rounds. The page
goes to the output, what is being measured to the error stream. Values that two sides compute are compared before times.

* trainer, tokens: a step of training beside a plain PyTorch loop.
* save, start: a checkpoint beside one synced file, a command beside the import of torch.
* metrics: scores beside torchmetrics' and, where it is installed, prdc's.
* loader: images decoded and batches read beside a DataLoader and tensors indexed by hand.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the trainer's own share is largest, and steadiest, beside one thread

import argparse
import importlib.metadata
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
from benches import commands, loading, scores, training
from benches.comparison import Bench, Costs, median
from rich.console import Console
from rich.table import Table

BENCHES = [*training.BENCHES, *commands.BENCHES, *scores.BENCHES, *loading.BENCHES]
PACKAGES = ("genkit-toolkit", "torch", "lightning", "torchmetrics", "prdc", "numpy")
BUSY = 0.5  # load per processor at which a page says that the machine was not idle
WIDTH = 150
UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6}


def main(words: Sequence[str] | None = None) -> None:
    """The command line of this script."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__, formatter_class=plain)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a row or the beginning of some")
    parser.add_argument("--full", action="store_true", help="all rows, three times the rounds")
    asked = parser.parse_args(words)
    try:
        chosen = chosen_of(asked.names, asked.full)
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(1)
    console, busy = Console(width=WIDTH, highlight=False), load()
    measured = [(bench, measure(bench, 3 * bench.rounds if asked.full else bench.rounds)) for bench in chosen]
    for line in (*heading(), *busy_lines(busy)):
        console.print(line, soft_wrap=True)
    console.print(page(measured))


def chosen_of(names: Sequence[str], full: bool) -> list[Bench]:
    """The rows of these names, or those of a quick or full page. Raises ValueError for an unknown name."""
    if not names:
        return [bench for bench in BENCHES if full or not bench.full]
    rows = [bench.name for bench in BENCHES]
    meant: set[str] = set()
    for name in names:
        found = {name} if name in rows else {row for row in rows if row.startswith(name)}
        if not found:
            raise ValueError(f"{name}: no row begins so; there are {', '.join(rows)}")
        meant |= found
    return [bench for bench in BENCHES if bench.name in meant]


def measure(bench: Bench, rounds: int) -> Costs | str:
    """The costs, or why there are none."""
    if (reason := bench.missing()) is not None:
        return reason
    print(f"{bench.name}: {bench.work}, {rounds} rounds", file=sys.stderr, flush=True)
    return bench.measure(rounds)


def heading() -> Iterator[str]:
    """Date, versions and machine, a line each."""
    yield f"genkit beside others, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    yield ", ".join([f"Python {platform.python_version()}", *map(version, PACKAGES)])
    yield f"{processor()}, {os.cpu_count()} processors, {platform.system()} {platform.machine()}; one thread"


def busy_lines(busy: float | None) -> Iterator[str]:
    if busy is not None and busy > BUSY * (os.cpu_count() or 1):
        yield f"not idle: {busy:.1f} processes were working when it began, so the spread is wide"


def page(measured: Sequence[tuple[Bench, Costs | str]]) -> Table:
    """One row for each bench; where there is no ratio it says why."""
    table = Table(box=None, pad_edge=False)
    for title in ("row", "work", "genkit", "other", "who", "ratio [lowest, highest]", "rounds"):
        table.add_column(title, no_wrap=True)
    for bench, costs in measured:
        if isinstance(costs, str):
            table.add_row(bench.name, bench.work, "", "", bench.peer, costs, "")
            continue
        ours, theirs = (quantity(median(side), bench.unit) for side in (costs.ours, costs.theirs))
        low, high = min(costs.ratios), max(costs.ratios)
        ratio = f"{median(costs.ratios):.2f} [{low:.2f}, {high:.2f}]"
        table.add_row(bench.name, bench.work, ours, theirs, bench.peer, ratio, str(len(costs.ratios)))
    return table


def quantity(seconds: float, unit: str) -> str:
    """Three digits in the unit that suits them: 0.0123 CPU s is "12.3 CPU ms"."""
    word = next((word for word, scale in UNITS.items() if seconds * scale >= 1), "µs")
    return f"{seconds * UNITS[word]:.3g} {unit.removesuffix('s')}{word}"


def version(package: str) -> str:
    name = package.removesuffix("-toolkit")
    try:
        return f"{name} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {name}"


def processor() -> str:
    """The model of the processor, as Linux names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def load() -> float | None:
    """Working processes over the last minute, where the system counts them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


if __name__ == "__main__":
    main()
