"""The end of a sweep: a line for each job, which one is best, and the command to type next."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from genkit.config.hydra.sweep import Sweep, label_of_values, short_keys
from genkit.printing import shown


def print_table(sweep: Sweep) -> None:
    """Prints the jobs of a sweep, their values, status, score and folder; nothing where there was no sweep."""
    if not sweep.rows:
        return
    rows = sorted(sweep.rows.items())
    columns = [["job", *(str(number) for number, _ in rows)]]
    for key, name in short_keys(sweep.keys).items():
        columns.append([name, *(shown(row.values.get(key, "")) for _, row in rows)])
    columns.append(["status", *(row.status for _, row in rows)])
    if any(row.score is not None for _, row in rows):
        columns.append([shown(sweep.score), *(_number(row.score) for _, row in rows)])
    columns.append(["folder", *("" if row.folder is None else shown(near(row.folder)) for _, row in rows)])
    widths = [max(map(len, column)) for column in columns]
    for line in zip(*columns, strict=True):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if best := _best(sweep):
        print(f"best: {best}")
    if sweep.picture is not None:
        print(f"picture: {shown(near(sweep.picture))}")
    if sweep.next is not None:
        print(f"next: {sweep.next}")
    sys.stdout.flush()


def near(path: Path) -> Path:
    """The path from the working directory, where it lies below."""
    here, path = Path.cwd(), Path(os.path.abspath(path))
    return path.relative_to(here) if path.is_relative_to(here) else path


def _best(sweep: Sweep) -> str | None:
    """The best job, where they can be ranked."""
    scored = [row for row in sweep.rows.values() if row.score is not None]
    if sweep.mode is None or len(scored) < 2 or not sweep.rankable:
        return None
    least = min(scored, key=lambda row: (row.score or 0.0) * (-1 if sweep.mode == "max" else 1))
    return f"{label_of_values(least.values)}, {shown(sweep.score)} {_number(least.score)}"


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:.5g}"
