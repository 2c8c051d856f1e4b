"""The frame of every HTML page of genkit: one file that needs nothing else, light or dark as the screen is."""

from __future__ import annotations

import base64
import hashlib
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

PRINTED = """
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --faint: #444; --hot: 214, 69, 32; }
  body { max-width: none; margin: 0; padding: 0; }
  input, button, select { display: none; }
  img, figure, tr { break-inside: avoid; } h1, h2, h3 { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""  # dark screens print on white paper, without what can only be moved, and with the colours that mean something


def html_page(
    title: str,
    body: Iterable[str],
    style: str = "",
    script: str | None = None,
    served: bool = False,
    stamp: str | None = None,
) -> str:
    """A whole page, which by its own policy reaches no network.

    Args:
        title: Any text; it is escaped.
        body: HTML below the heading.
        style: Rules besides those that all pages share.
        script: The page's script; no other one then runs, whatever the body holds. None: scripts stand in the body.
        served: Whether the page also asks the server that it came from, for pictures or by its script.
        stamp: Of a served page that asks for newer ones: which version this is.
    """
    heading = escape(printable(title))
    parts = [
        "<!doctype html>",
        '<html lang="en">' if stamp is None else f'<html lang="en" data-stamp="{escape(stamp)}">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy(script, served or stamp is not None)}">',
        *(['<link rel="icon" href="data:,">'] if served or stamp is not None else []),  # else a server is asked for one
        f"<title>{heading}</title>",
        f"<style>{STYLE}{style}{PRINTED}</style>",
        "</head>",
        "<body>",
        f"<h1>{heading}</h1>",
        *body,
        *([] if script is None else [f"<script>{script}</script>"]),
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def policy(script: str | None = None, served: bool = False) -> str:
    """The things that a page may load: pictures that it holds, its style, and the one script, known by its hash."""
    allowed = "'unsafe-inline'"
    if script is not None:
        allowed = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    own = " 'self'" if served else ""
    rules = ["default-src 'none'", f"img-src data:{own}", "style-src 'unsafe-inline'"]
    rules += [f"script-src {allowed}", *(["connect-src 'self'"] if served else [])]
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'"))


def picture_source(png: bytes) -> str:
    """A PNG as the address of an image, so that a page holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
