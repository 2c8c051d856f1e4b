"""The console that commands write to: as wide as the terminal, and wide enough for a table where there is none.

What it prints is text, not markup: a run in `a[b]c` or `x:smile:` is called so, and a word of a checkpoint cannot
colour the terminal or fail as a tag. Style is given beside the text, `print(text, style="dim")` or a `rich.text.Text`.
Control characters are the console's own alone.
"""

import os
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from genkit.environment import is_first

WIDE = 100  # columns of a file or a pipe
INSTEAD = "\N{REPLACEMENT CHARACTER}"  # as wide as what it stands for was counted, so that tables keep their shape


class QuietConsole(Console):
    """A console whose reader may leave (`genkit train … | head -1`): the work continues silently."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter's last flush complains

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Rich's own, with every control character in a text replaced."""
        for segment in super().render(renderable, options):
            text = segment.text
            yield segment if segment.control or _harmless(text) else segment._replace(text=_cleaned(text))


def make_console(**options: Any) -> Console:
    """A console on standard output; `options` go to rich.

    Of several processes of one command the first one speaks.
    A notebook is a pipe to it: rich would show each line as an output of its own, into any file, and
    warn of widgets that are missing; and the notebook's standard output calls itself a terminal.
    """
    notebook = Console().is_jupyter
    quiet = {} if is_first() else {"quiet": True}
    plain = {"force_jupyter": False, "force_terminal": False} if notebook else {}
    width = WIDE if notebook or not sys.stdout.isatty() else None
    return QuietConsole(
        **{"highlight": False, "markup": False, "emoji": False, "width": width, **plain, **quiet} | options
    )


def _harmless(text: str) -> bool:
    return text.replace("\n", "").isprintable()


def _cleaned(text: str) -> str:
    return "".join(c if c == "\n" or c.isprintable() else INSTEAD for c in text)
