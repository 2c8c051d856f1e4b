"""`genkit data list`: the data that was prepared in the cache, the latest used first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from genkit.config.hydra.arguments import read_arguments
from genkit.data.kept import Kept, kept
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.storage.disk import user_folder

USAGE = "genkit data list"


def run(argv: list[str]) -> int:
    """Print a row for each; raises ConfigError for an argument, StorageError where the cache cannot be read."""
    if {"-h", "--help"} & set(argv):
        print(f"usage: {USAGE}\n\nPrepared arrays and indexes of shards in the cache, the latest used first.")
        return 0
    read_arguments(argv, [], USAGE)
    found, console = kept(), make_console()
    for line in lines(found):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    size = sum(one.bytes for one in found)
    console.print(f"{len(found):,} in {shown(user_folder())}, {size:,} bytes", soft_wrap=True, highlight=False)
    return 0


def lines(found: Sequence[Kept]) -> Iterator[str]:
    """A row of figures for each, and below it where it comes from and what it is."""
    if not found:
        return
    rows = [("name", "last use", "bytes", "train/val/test"), *map(_figures, found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row, one in zip(rows, (None, *found), strict=True):
        name, when, size, examples = row
        yield f"{name:<{widths[0]}}  {when:<{widths[1]}}  {size:>{widths[2]}}  {examples}".rstrip()
        if one is not None:
            told = ": ".join(filter(None, (shown(one.source) if one.source else "", shown(one.words))))
            yield f"{'':<{widths[0]}}  {told}"


def _figures(one: Kept) -> tuple[str, str, str, str]:
    when = "now" if one.held else time.strftime("%Y-%m-%d %H:%M", time.localtime(one.used))
    return one.name, when, f"{one.bytes:,}", "/".join(f"{n:,}" for n in one.examples)
