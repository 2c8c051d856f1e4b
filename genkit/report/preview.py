"""The first samples of a table or of text on the console."""

from __future__ import annotations

import csv
import json
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from genkit.printing import shown
from genkit.report.text import ENDED, wrapped

ROWS = 5
COLUMNS = 12
LONGEST = 18  # characters of a cell
TEXTS, LINES = 3, 6  # samples of text, and lines of each
INDENT = "  "


def print_rows(path: Path, console: Console) -> None:
    """Print the first rows of a CSV file that genkit wrote, and of many columns the first ones."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = islice(csv.reader(file), 1 + ROWS)
    more = len(header) > COLUMNS
    grid = Grid(box=None, pad_edge=False)
    for name in header[:COLUMNS]:
        grid.add_column(Text(shown(name, LONGEST)), no_wrap=True, justify="right")
    for row in rows:
        grid.add_row(*(Text(shown(cell, LONGEST)) for cell in row[:COLUMNS]))
    console.print(grid, crop=False)
    if more:
        console.print(f"the first {COLUMNS} of {len(header):,} columns", style="dim")


def print_text(path: Path, console: Console) -> None:
    """Print the first samples of a JSONL file that genkit wrote: a few lines of each, nothing in them to be obeyed."""
    with path.open(encoding="utf-8") as file:
        samples = [json.loads(line) for line in islice(file, TEXTS)]
    for sample in samples:
        lines = wrapped(sample["text"], sample["ended"], max(console.width - len(INDENT), len(ENDED)), LINES)
        for line in lines:
            console.print(Text(f"{INDENT}{line}"), no_wrap=True, crop=False)
        console.print()
