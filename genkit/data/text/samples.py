r"""Samples of text in files beside their tokens: one to be read by people, one by programs.

`samples.txt` has the samples under each other, each after a line with its number; `samples.jsonl` has one object a
line: {"text": …, "ended": …, "tokens": …}, whether the document ended, and how many tokens it has. A byte that is no
UTF-8 is U+FFFD in both, and what a terminal would obey is an escape; the tokens in `samples.npz` are what was drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.printing import printable
from genkit.storage.atomic import whole_file

TXT, JSONL = "samples.txt", "samples.jsonl"


@contextmanager
def written_text(folder: Path, spec: DataSpec) -> Iterator[Callable[[Tensor], None]]:
    """A function that appends stored values (n, T) to both files of a folder; of other data, one that does nothing.

    Raises:
        StorageError: a file cannot be written.
    """
    kind = spec.kind
    if not isinstance(kind, Text):
        yield lambda v: None
        return
    number = 0
    with whole_file(folder / TXT) as plain, whole_file(folder / JSONL) as lines:

        def append(v: Tensor) -> None:
            nonlocal number
            rows = zip(kind.texts(v), kind.ended(v).tolist(), kind.counts(v).tolist(), strict=True)
            for text, ended, tokens in rows:
                number += 1
                plain.write(f"--- {number}{'' if ended else ' (goes on)'}\n{_safe(text)}\n".encode())
                node = {"text": text, "ended": ended, "tokens": tokens}
                lines.write(f"{json.dumps(node, ensure_ascii=False)}\n".encode())

        yield append


def _safe(text: str) -> str:
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
