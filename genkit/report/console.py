"""The console that commands write to: as wide as the terminal, and wide enough for a table where there is none."""

import os
import sys

from rich.console import Console

WIDE = 100  # columns of a file or a pipe


class QuietConsole(Console):
    """A console whose reader may leave (`genkit train … | head -1`): the work goes on, without words."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter's last flush complains


def make_console() -> Console:
    """A console on standard output."""
    return QuietConsole(highlight=False, width=None if sys.stdout.isatty() else WIDE)
