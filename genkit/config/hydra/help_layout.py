"""Help texts as wide as the terminal: rows of a term and its description, lists of names, and a little colour.

Standard library only. Without a terminal the width is that of the environment's COLUMNS, else 80, and there is no
colour; NO_COLOR (no-color.org) switches it off, and TERM=dumb too.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

NARROWEST = 40
BOLD, CYAN, DIM = "1", "36", "2"


def width() -> int:
    """Columns of the terminal."""
    return max(NARROWEST, shutil.get_terminal_size().columns)


def coloured() -> bool:
    """Tell whether standard output shows colours."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def styled(text: str, code: str) -> str:
    """The text in a style, where the terminal has it."""
    return f"\x1b[{code}m{text}\x1b[0m" if coloured() and text else text


def heading(text: str) -> str:
    return styled(text, BOLD)


def wrapped(text: str, indent: str = "", following: str | None = None) -> list[str]:
    """Lines of a paragraph; a command or a key is not broken inside."""
    return textwrap.wrap(
        text,
        width(),
        initial_indent=indent,
        subsequent_indent=indent if following is None else following,
        break_long_words=False,
        break_on_hyphens=False,
    )


def rows(pairs: Sequence[tuple[str, str]], indent: str = "  ", gap: int = 2) -> list[str]:
    """Terms on the left, descriptions on the right from one column on; a long term has a line of its own."""
    most = max(16, width() // 2)
    column = len(indent) + gap + max((len(term) for term, _ in pairs if len(term) <= most), default=0)
    lines: list[str] = []
    for term, description in pairs:
        longest = max(map(len, description.split()), default=0)  # a key that is too long for the column moves left
        left = max(len(indent) + gap, min(column, width() - longest))
        told = wrapped(description, " " * left)
        start = f"{indent}{styled(term, CYAN)}"
        room = left - len(indent) - len(term)
        if not told:
            lines.append(start)
        elif room >= gap:
            lines += [start + told[0][len(indent) + len(term) :], *told[1:]]
        else:
            lines += [start, *told]
    return lines


def names(options: Iterable[str], indent: str, first: str = "") -> list[str]:
    """Names apart by spaces, wrapped below one another; `first` stands in front of them."""
    return wrapped(" ".join(options), f"{first:<{len(indent)}}", indent)
