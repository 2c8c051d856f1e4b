"""The end of a sweep: a line for each job, red where it failed, which one is best, and the commands to type next."""

from __future__ import annotations

import os
from pathlib import Path

from rich.text import Text

from genkit.config.hydra.sweep import TABLE, Sweep, label_of_values, short_keys
from genkit.config.hydra.sweep_display import colour_of
from genkit.printing import shown
from genkit.report.console import make_console

REPORT = "report.html"
LARGE = 100_000  # whole numbers from which all digits are printed


def print_table(sweep: Sweep) -> None:
    """Print the jobs of a sweep, their values, status, score and folder; nothing where there was no sweep."""
    if not sweep.jobs:
        return
    console = make_console()
    jobs = [job for _, job in sorted(sweep.jobs.items())]
    columns = [["job", *(str(job.number) for job in jobs)]]
    for key, name in short_keys(sweep.keys).items():
        columns.append([name, *(shown(job.values.get(key, "")) for job in jobs)])
    columns.append(["status", *(job.status for job in jobs)])
    if any(job.score is not None for job in jobs):
        columns.append([shown(sweep.score), *(_number(job.score) for job in jobs)])
    for cost in sweep.costs:
        columns.append([cost, *(_number(job.costs.get(cost)) for job in jobs)])
    if sweep.costs:
        columns.append(["Pareto", *("*" if job.in_pareto_set else "" for job in jobs)])
    columns.append(["folder", *("" if job.folder is None else shown(near(job.folder)) for job in jobs)])
    widths = [max(map(len, column)) for column in columns]
    styles = ["bold", *(colour_of(job.status) if job.failed else "" for job in jobs)]
    for style, line in zip(styles, zip(*columns, strict=True), strict=True):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        console.print(Text(text, style=style), soft_wrap=True)
    for below in _below(sweep):
        console.print(below, soft_wrap=True)


def _below(sweep: Sweep) -> list[str]:
    lines = []
    if (best := sweep.best) is not None:
        lines.append(f"best: {shown(label_of_values(best.values))}, {shown(sweep.score)} {_number(best.score)}")
    if (chosen := sweep.pareto_set) and sweep.costs:
        lines.append(f"Pareto set: jobs {', '.join(str(job.number) for job in chosen)}, by {shown(sweep.score)}")
    if sweep.folder is not None and (sweep.folder / TABLE).is_file():
        lines.append(f"table: {shown(near(sweep.folder / TABLE))}")
    if sweep.folder is not None and (sweep.folder / REPORT).is_file():
        lines.append(f"report: {shown(near(sweep.folder / REPORT))}")
    if sweep.picture is not None:
        lines.append(f"picture: {shown(near(sweep.picture))}")
    if sweep.pareto_picture is not None:
        lines.append(f"Pareto set: {shown(near(sweep.pareto_picture))}")
    return [*lines, *(["next:", *(f"  {command}" for command in sweep.next)] if sweep.next else [])]


def near(path: Path) -> Path:
    """The path from the working directory, where it lies below."""
    here, path = Path.cwd(), Path(os.path.abspath(path))
    return path.relative_to(here) if path.is_relative_to(here) else path


def _number(score: float | None) -> str:
    if score is None:
        return ""
    return f"{score:,.0f}" if score.is_integer() and abs(score) >= LARGE else f"{score:.5g}"
