"""A progress bar of work that is not training, on standard error of a terminal; elsewhere nothing is written."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def with_progress(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """The items one by one, with a bar that disappears at the end where a person watches."""
    console = Console(stderr=True)
    shows = console.is_terminal and sys.stderr.isatty()
    yield from track(items, label, total=total, console=console, transient=True, disable=not shows)
