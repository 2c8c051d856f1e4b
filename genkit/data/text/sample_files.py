r"""Samples of text read from files, those of `genkit sample` or of any other program.

`.jsonl` has an object a line with its "text", and perhaps "ended": false where the document goes on after it. `.txt`
has a sample a line, blank lines left out; one that `genkit sample` wrote has lines `--- 1`, `--- 2 (goes on)`, …
between samples of several lines. A sample is cut after the T tokens of an example, as held-out text is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import read_regular

SUFFIXES = (".txt", ".jsonl")
LARGEST = 2**30  # bytes of a file
HEADER = re.compile(r"--- (\d+)( \(goes on\))?")
ADVICE = "give a text file with a sample a line, or a .jsonl"

Sample = tuple[str, bool]  # the text, and whether the document ends after it


def is_text(path: Path) -> bool:
    """Tell whether a file is one of samples of text, by its name."""
    return path.suffix.lower() in SUFFIXES


def read_text(path: Path, spec: DataSpec | None, say: Callable[[str], None]) -> Tensor:
    """The tokens (n, T) of the samples in a file.

    Args:
        path: A `.txt` or `.jsonl`.
        spec: The data.
        say: Told how many samples were cut.

    Raises:
        DataError: no spec of text, no samples, not UTF-8, a line without text, or text that has no tokens.
    """
    if spec is None or not isinstance(spec.kind, Text):
        known = "" if spec is None else f", and the data is {spec.modality} data"
        raise DataError(f"{shown(path)}: text{known}: say which with data=text data.root=FILE, or data=pydoc")
    data = read_regular(path, LARGEST, advice=ADVICE)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{shown(path)}: not UTF-8 at byte {error.start:,}: convert the file (iconv -t UTF-8)"
        ) from error
    read = _objects if path.suffix.lower() == ".jsonl" else _lines
    samples = list(read(text, path))
    if not samples:
        raise DataError(f"{shown(path)}: empty: there are no samples in it; {ADVICE}")
    rows = [_tokens(sample, number, spec.kind, path) for number, sample in enumerate(samples, 1)]
    long = sum(len(row) > spec.dim for row in rows)
    if long:
        say(f"{shown(path)}: {long:,} of {len(rows):,} samples cut after the {spec.dim} tokens of an example")
    found = np.full((len(rows), spec.dim), spec.kind.pad, np.int64)
    for place, row in zip(found, rows, strict=True):
        place[: len(row)] = row[: spec.dim]
    return torch.from_numpy(found)


def _tokens(sample: Sample, number: int, kind: Text, path: Path) -> np.ndarray:
    """The tokens of a sample, with the end where there is one."""
    text, ended = sample
    try:
        ids = kind.tokenizer.encode(text.encode())
    except DataError as error:
        raise DataError(f"{shown(path)}, sample {number:,}: {error}") from error
    except UnicodeEncodeError as error:
        raise DataError(f"{shown(path)}, sample {number:,}: half of a surrogate pair, which is no text") from error
    return np.append(ids, kind.eos) if ended else ids


def _objects(text: str, path: Path) -> Iterator[Sample]:
    """The samples of a JSONL file."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            node = json.loads(line)
        except (ValueError, RecursionError):
            node = None
        if not isinstance(node, dict) or not isinstance(node.get("text"), str):
            raise DataError(
                f'{shown(path)}, line {number:,}: no JSON object with a "text": write {{"text": "…"}} a line'
            )
        if not isinstance(ended := node.get("ended", True), bool):
            raise DataError(f'{shown(path)}, line {number:,}: "ended" is neither true nor false')
        yield node["text"], ended


def _lines(text: str, path: Path) -> Iterator[Sample]:
    """The samples of a text file: its lines, or what stands between the lines that `genkit sample` writes."""
    lines = text.removesuffix("\n").split("\n")
    if (first := HEADER.fullmatch(lines[0])) is None or first[1] != "1":
        yield from ((line.removesuffix("\r"), True) for line in lines if line.strip())
        return
    number, held, ended = 1, list[str](), not first[2]
    for line in lines[1:]:
        header = HEADER.fullmatch(line)
        if header is not None and header[1] == str(number + 1):
            yield "\n".join(held), ended
            number, held, ended = number + 1, [], not header[2]
        else:
            held.append(line)
    yield "\n".join(held), ended
