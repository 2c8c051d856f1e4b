"""One sample of text on a terminal while it is drawn: its last lines, as many as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text as Words
from torch import Tensor

from genkit.data.text.kind import Text
from genkit.report.text import ENDED, wrapped

INDENT = "  "
ROOM = 3  # lines of a terminal that are left to others
LONG = 100_000  # lines of a text that is looked at as a whole


@contextmanager
def live_text(console: Console, kind: Text) -> Iterator[Callable[[Tensor], None]]:
    """Show what the function that it hands out is told last: the first tokens (1, k) of a text.

    When the text is complete it stays where it is, all of it; nothing in it is obeyed by the terminal.
    """
    from rich.live import Live

    width = max(console.width - len(INDENT), len(ENDED))
    lines: list[str] = []

    def drawn(most: int) -> Words:
        return Words("\n".join(f"{INDENT}{line}" for line in lines[-most:]), no_wrap=True, overflow="crop")

    with Live(console=console, transient=True, refresh_per_second=12) as live:

        def show(tokens: Tensor) -> None:
            tokens = tokens[:1].cpu()
            lines[:] = wrapped(kind.texts(tokens)[0], bool(kind.ended(tokens)[0]), width, LONG)
            live.update(drawn(max(console.height - ROOM, 1)))

        yield show
    if lines:
        console.print(drawn(LONG), crop=False)
        console.print()
