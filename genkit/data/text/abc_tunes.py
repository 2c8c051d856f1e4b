"""Tunes in ABC notation (Walshaw 2011, the ABC standard 2.1): a tune is a document, from its `X:` to a blank line.

Of the fields before the notes those stay that belong to the music (title, rhythm, metre, unit of length, tempo, parts,
key). Number, sources, transcribers and comments are about the edition, and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from genkit.data.text.corpus import Corpus, Document, pieces

KEPT = b"TRMLQPK"  # fields of the music
FIELD = re.compile(rb"[A-Za-z]:(?![|:])")  # at the start of a line; :| and :: are bars


class TuneCorpus(Corpus):
    """The tunes in the files of another corpus, each a document."""

    alone = "give files of ABC notation with at least 3 tunes, each from X: to a blank line"

    def __init__(self, whole: Corpus) -> None:
        self.whole = whole
        self.files = whole.files.read_as("tunes")

    def documents(self) -> Iterator[Document]:
        for whole in self.whole.documents():
            for number, lines in enumerate(_tunes(whole)):
                yield Document(f"{whole.name}, tune {number + 1:,}", partial(_joined, lines))


def _tunes(whole: Document) -> Iterator[list[bytes]]:
    """The lines of each tune that are kept; what stands between two tunes is left out."""
    lines: list[bytes] | None = None
    for line in pieces(whole, b"\n"):
        line = line.strip()
        if lines and (not line or line.startswith(b"X:")):
            yield lines
        if not line:
            lines = None
        elif line.startswith(b"X:"):
            lines = []
        elif lines is not None and not line.startswith(b"%") and (not FIELD.match(line) or line[:1] in KEPT):
            lines.append(re.sub(rb"^(\w:)\s+", rb"\1", line))
    if lines:
        yield lines


def _joined(lines: list[bytes]) -> Iterator[bytes]:
    return iter([b"\n".join(lines)])
