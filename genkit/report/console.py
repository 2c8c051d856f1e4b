"""The console that commands write to: as wide as the terminal, and wide enough for a table where there is none."""

import sys

from rich.console import Console

WIDE = 100  # columns of a file or a pipe


def make_console() -> Console:
    """A console on standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
