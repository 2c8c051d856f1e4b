"""Text coloured by what each token cost a model, as one HTML page that needs nothing else.

A byte may be a token, and a character several bytes: what is coloured is the shortest run of tokens that is text, with
the sum of their bits. Text is escaped, and what cannot be seen is written as an escape. The page follows the reader's
choice of a light or dark screen; colours lie behind the letters, and the bits of a token show when it is pointed at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from genkit.data.text.kind import Text
from genkit.evaluation.token_scores import Excerpt
from genkit.printing import printable
from genkit.report.html import html_page
from genkit.storage.atomic import whole_file

EDGES = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)  # bits at which the next colour begins
ENDED = "∎"
LONGEST = 4  # bytes of a character

STYLE = """
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 14px/1.7 ui-monospace, monospace; }
i { font-style: normal; color: var(--faint); }
.key { color: var(--ink); }
.key span { padding: 0.1rem 0.5rem; white-space: nowrap; }
"""


def save_surprise(path: str | Path, found: Sequence[Excerpt], kind: Text, title: str, note: str) -> None:
    """The excerpts as a page.

    Args:
        path: Of the HTML file; it appears whole or not at all.
        found: One excerpt or more.
        kind: Of the tokens.
        title: Which model on which data.
        note: How they were scored.

    Raises:
        StorageError: the file cannot be written.
    """
    with whole_file(Path(path)) as file:
        file.write(page(found, kind, title, note).encode())


def page(found: Sequence[Excerpt], kind: Text, title: str, note: str) -> str:
    """The page as text."""
    body = [
        f"<p>{escape(note)}</p>",
        f'<p class="key">bits of a token, −log₂ P: {_key()}</p>',
        *(_excerpt(one, kind) for one in found),
    ]
    return html_page(title, body, f"{STYLE}{_colours()}")


def runs(found: Excerpt, kind: Text) -> Iterator[tuple[str, float, bool]]:
    """The shortest runs of tokens that are text, the bits of each, and whether it is the end of the document."""
    held, bits = b"", 0.0
    for token, cost in zip(found.tokens.tolist(), found.bits.tolist(), strict=True):
        if token >= kind.vocabulary:
            if held:
                yield held.decode("utf-8", "replace"), bits, False
            yield ENDED, cost, True
            return
        held, bits = held + kind.tokenizer.pieces[token], bits + cost
        if _is_text(held):
            yield held.decode("utf-8", "replace"), bits, False
            held, bits = b"", 0.0
    if held:
        yield held.decode("utf-8", "replace"), bits, False


def _is_text(data: bytes) -> bool:
    """Tell whether bytes are whole characters, or can be none whatever follows."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason != "unexpected end of data" or len(data) - error.start >= LONGEST
    return True


def _excerpt(found: Excerpt, kind: Text) -> str:
    size = sum(len(kind.tokenizer.pieces[token]) for token in found.tokens.tolist() if token < kind.vocabulary)
    total = float(found.bits.sum())
    said = f"{len(found.tokens):,} tokens, {size:,} bytes, {total / max(size, 1):.3f} bits per byte"
    spans = "".join(_span(*run) for run in runs(found, kind))
    return f"<h2>document {found.document} <small>{said}</small></h2>\n<pre>{spans}</pre>"


def _span(text: str, bits: float, ended: bool) -> str:
    shown = "\n".join("\t".join(escape(printable(cell)) for cell in line.split("\t")) for line in text.split("\n"))
    shown = shown.replace("\n", "<i>↵</i>\n")
    return f'<span class="c{level(bits)}" title="{bits:.2f}">{f"<i>{shown}</i>" if ended else shown}</span>'


def level(bits: float) -> int:
    """The number of the colour of so many bits."""
    return len(EDGES) if math.isnan(bits) else sum(bits >= edge for edge in EDGES)


def _colours() -> str:
    alphas = (0.85 * number / len(EDGES) for number in range(len(EDGES) + 1))
    return "\n".join(f".c{i} {{ background: rgba(var(--hot), {alpha:.2f}); }}" for i, alpha in enumerate(alphas))


def _key() -> str:
    words = [f"below {EDGES[0]:g}", *(f"{low:g} to {high:g}" for low, high in pairwise(EDGES))]
    words.append(f"{EDGES[-1]:g} or more")
    return " ".join(f'<span class="c{i}">{word}</span>' for i, word in enumerate(words))
