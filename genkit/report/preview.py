"""The first rows of a table of samples on the console."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from genkit.printing import shown

ROWS = 5
COLUMNS = 12
LONGEST = 18  # characters of a cell


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
