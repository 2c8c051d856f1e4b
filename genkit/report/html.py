"""The frame of every HTML page of genkit: one file that needs nothing else, light or dark as the screen is."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

from genkit.printing import printable

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1b1f; --faint: #6b6b76; --hot: 214, 69, 32; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16161a; --ink: #e8e8ee; --faint: #9a9aa6; --hot: 196, 78, 30; }
}
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.25rem; } h2 { font-size: 1rem; margin-top: 2rem; }
p, h2 small { color: var(--faint); font-weight: normal; }
"""


def html_page(title: str, body: Iterable[str], style: str = "", head: str = "") -> str:
    """A whole page.

    Args:
        title: Any text; it is escaped.
        body: HTML below the heading.
        style: Rules besides those that all pages share.
        head: More HTML of the head.
    """
    heading = escape(printable(title))
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        *filter(None, [head]),
        f"<title>{heading}</title>",
        f"<style>{STYLE}{style}</style>",
        "</head>",
        "<body>",
        f"<h1>{heading}</h1>",
        *body,
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def picture_source(png: bytes) -> str:
    """A PNG as the address of an image, so that a page holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
