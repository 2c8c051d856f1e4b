"""Pieces of a page: text that is escaped, tables, folds, commands. Whatever comes from a file passes `safe`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from urllib.parse import quote

from genkit.printing import printable, shortened

LONGEST = 2000  # characters of a value
LONGEST_COMMAND = 20_000


def safe(value: object, most: int = LONGEST) -> str:
    """The text of a value as HTML text or attribute: no markup, no control characters, of bounded length."""
    return escape(printable(shortened(str(value), most)))


def address(path: str) -> str:
    """The address of a file by its path from the folder of the page: never a scheme, whatever its name."""
    return "./" + quote(path.encode("utf-8", "surrogateescape" if _from_system(path) else "replace"))


def _from_system(path: str) -> bool:
    """Tell whether every surrogate in it stands for a byte of a file's name."""
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def section(title: str, *parts: str, note: str = "") -> str:
    """Parts below a heading, "" where there are none.

    Args:
        title: Plain text; the address of the section follows from it.
        parts: HTML.
        note: HTML beside the heading.
    """
    body = "\n".join(part for part in parts if part)
    if not body:
        return ""
    small = f" <small>{note}</small>" if note else ""
    return f'<section id="{anchor(title)}">\n<h2>{safe(title)}{small}</h2>\n{body}\n</section>'


def anchor(title: str) -> str:
    """The name of a section in the page's address: letters and digits alone."""
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in title.lower()).split())


def table(rows: Iterable[Sequence[str]], headings: Sequence[str] = (), kind: str = "") -> str:
    """Rows of cells, which are HTML; "" for no rows. A narrow screen scrolls it, not the page.

    Args:
        rows: Cells of each row; the first one is its heading.
        headings: Above the columns, plain text; none for no head.
        kind: The class of the table, for the style.
    """
    lines = "\n".join(f"<tr>{_row(cells)}</tr>" for cells in rows)
    if not lines:
        return ""
    head = "".join(f'<th scope="col">{safe(heading)}</th>' for heading in headings)
    head = f"<thead><tr>{head}</tr></thead>\n" if head else ""
    return f'<div class="wide"><table class="{kind}">\n{head}<tbody>\n{lines}\n</tbody></table></div>'


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others)


def facts(rows: Mapping[str, object]) -> str:
    """Names and values as a table of two columns."""
    return table([(safe(name), safe(value)) for name, value in rows.items()], kind="facts")


def fold(title: str, body: str, opened: bool = False) -> str:
    """HTML that is shown when its title (HTML) is touched; "" where there is none."""
    return f"<details{' open' if opened else ''}><summary>{title}</summary>\n{body}\n</details>" if body else ""


def command(text: str) -> str:
    """A command line, selected whole by one click."""
    return f"<pre>{safe(text, LONGEST_COMMAND)}</pre>"


def key(colour: int, name: str, dashed: bool = False) -> str:
    """An entry of a legend: a line in one of the six colours of `style`, and its name (HTML)."""
    return f'<span class="key"><i class="c{colour % 6}{" dashed" if dashed else ""}"></i>{name}</span>'
