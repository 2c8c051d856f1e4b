"""`genkit compare RESULTS…`: results of `genkit eval` side by side, ranked only where it is decided.

RESULTS is a results.json, a folder that `genkit eval` wrote, or a folder of such folders; any number of them. Runs that
differ in their seed alone are one row: the mean over seeds with its spread.
metric=fid,coverage takes these metrics only; out=FOLDER is where compare.md, compare.csv, compare.png and compare.html
go.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from genkit.assembly.output_folder import check_out, make_out
from genkit.config.path_words import paths_and_options
from genkit.errors import ConfigError
from genkit.printing import shown
from genkit.report.comparison import compare
from genkit.report.comparison_text import (
    Comparison,
    against_floor,
    cell,
    csv_text,
    heading,
    legend,
    markdown,
    write_text,
)
from genkit.report.console import make_console
from genkit.report.page.comparison_page import page_of_scores
from genkit.report.rows import results_in

USAGE = "genkit compare RESULTS… [metric=NAME,…] [out=FOLDER]"
KEYS = ("out", "metric", "debug")


@dataclass(frozen=True)
class CompareSettings:
    """Of `genkit compare`.

    Attributes:
        paths: Folders and files of results.
        metrics: Those that are compared; none: all.
        out: The folder to write into; None: a stamped one.
    """

    paths: tuple[Path, ...]
    metrics: tuple[str, ...]
    out: str | None

    @classmethod
    def of(cls, argv: Sequence[str]) -> Self:
        """A word that exists as a path is always one; raises ConfigError for an unknown key."""
        paths, options = paths_and_options(argv, KEYS, USAGE)
        if not paths:
            raise ConfigError(f"genkit compare: no results named; usage: {USAGE}")
        out, metrics = options.get("out"), options.get("metric", "").strip("[]").split(",")
        return cls(paths, tuple(filter(None, metrics)), None if out is None else os.path.expanduser(out))


def run(argv: list[str]) -> int:
    """Prints a table and writes compare.md, compare.csv, compare.png and compare.html.

    Raises:
        ConfigError: nothing to compare, or what cannot be compared.
        DataError: a file that is no results.json.
    """
    if {"-h", "--help"} & set(argv):
        print(f"usage: {USAGE}")
        return 0
    settings = CompareSettings.of(argv)
    check_out(settings.out)
    files = [file for path in settings.paths for file in results_in(path)]
    table = compare(files, settings.metrics)
    if not table:
        raise ConfigError("genkit compare: these results have no score of a model: run genkit eval first")
    console = make_console()
    folder = make_out(settings.out, "compare", "results", lambda folder: fill(folder, table))
    show(table, console)  # last: a reader of its head alone closes the pipe
    console.print(f"comparison: {shown(folder)}", soft_wrap=True)
    return 0


def show(table: Comparison, console: Console) -> None:
    """A block per metric, best first, baselines below."""
    out = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in ("Metric", "Value [95 %]", "vs floor"):
        out.add_column(title, no_wrap=True)
    for name, block in table.items():
        out.add_row(Text(heading(name, block), style="bold"))
        for row in block:
            cells = (f"  {row.source}", cell(row), against_floor(row))
            out.add_row(*map(Text, cells), style="dim" if row.baseline else None)
    console.print(out)
    for line in legend(table):
        console.print(Text(line, style="dim"))


def fill(folder: Path, table: Comparison) -> None:
    from genkit.report.forest import save_forest  # matplotlib costs half a second

    write_text(folder / "compare.md", markdown(table))
    write_text(folder / "compare.csv", csv_text(table))
    save_forest(folder / "compare.png", table)
    write_text(folder / "compare.html", page_of_scores(table))
