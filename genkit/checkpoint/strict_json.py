"""Strict JSON, for files from untrusted sources.

Writing: one canonical text per value (sorted keys, ASCII, final newline), so one hash; NaN, infinity and keys that
are no strings are refused, since JSON would change them. Reading: UTF-8 only, at most 16 MiB and 64 levels, no
duplicate keys, no NaN, nothing that overflows to infinity. Depth is counted before parsing.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from genkit.errors import CheckpointError
from genkit.printing import shown

LARGEST = 16 * 2**20  # bytes
DEEPEST = 64  # levels of nesting

_PLAIN = {str, int, bool, type(None)}  # nothing to check: most of a state, and a save waits for it

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def render(value: object, where: str, indent: int | None = 1) -> bytes:
    """The canonical text of a JSON value; tuples become lists.

    Args:
        value: Nested dicts with string keys, lists, tuples, strings, numbers, booleans, None.
        where: What it is, for the error.
        indent: Spaces; None for one line, which is written ten times as fast, of what nobody reads.

    Raises:
        CheckpointError: something in it cannot be JSON, or the text would be larger or deeper than what is read back.
    """
    _check(value, where, 0)
    data = (json.dumps(value, sort_keys=True, indent=indent, allow_nan=False) + "\n").encode("ascii")
    if len(data) > LARGEST:
        raise CheckpointError(
            f"{where}: {len(data):,} bytes of JSON, the limit is {LARGEST:,}: store arrays as tensors"
        )
    return data


def parse(data: bytes, path: Path) -> Any:
    """The value of a JSON text.

    Raises:
        CheckpointError: one line that names `path` and what is wrong.
    """
    if len(data) > LARGEST:
        raise CheckpointError(f"{shown(path)}: {len(data):,} bytes of JSON, the limit is {LARGEST:,}: use another copy")
    if _depth(data) > DEEPEST:
        raise CheckpointError(f"{shown(path)}: nested deeper than {DEEPEST} levels: use another copy")
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except ValueError as error:  # also JSONDecodeError and UnicodeDecodeError
        raise CheckpointError(f"{shown(path)}: not valid JSON ({error}): use another copy") from error


def _check(value: object, where: str, depth: int) -> None:
    if depth >= DEEPEST and isinstance(value, dict | list | tuple):
        raise CheckpointError(f"{where}: nested deeper than {DEEPEST} levels: flatten it")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise CheckpointError(f"{where}: the key {key!r} is no string, which JSON would change: use a string")
            if type(item) not in _PLAIN:
                _check(item, f"{where}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if type(item) not in _PLAIN:
                _check(item, f"{where}[{index}]", depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise CheckpointError(f"{where}: {value} cannot be written as JSON: use a finite number or null")
    elif not isinstance(value, str | int | float | bool | None):
        raise CheckpointError(f"{where}: a {type(value).__name__} cannot be written as JSON: use plain values")


def _depth(data: bytes) -> int:
    """Deepest nesting of brackets outside strings; a text that is no JSON may get any number, and fails later."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"duplicate key {name!r}")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value
