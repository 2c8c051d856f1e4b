"""JSON from strangers is read with limits; JSON of ours has one text."""

from pathlib import Path
from typing import Any

import pytest

from genkit.checkpoint import strict_json
from genkit.errors import CheckpointError

HERE = Path("folder/config.json")


@pytest.mark.parametrize(
    "value", [{}, [], None, True, 0, -1.5e-300, "ünï \ud800 \n", {"b": [1, {"a": None}], "a": {"c": 10**30}}]
)
def test_round_trip(value: Any) -> None:
    assert strict_json.parse(strict_json.render(value, "config"), HERE) == value


def test_one_text_whatever_the_order() -> None:
    assert strict_json.render({"a": 1, "b": (2,)}, "config") == strict_json.render({"b": [2], "a": 1}, "config")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"text",
        b"{'a': 1}",
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b'{"a": NaN}',
        b"[Infinity, -Infinity]",
        b"[1e999]",
        b'{"a": 1, "a": 2}',
        b'{"x": {"a": 1, "b": 3, "a": 1}}',
        b'["\xff"]',
        b'["line\nbreak"]',
        b"[" + b"9" * 5000 + b"]",
        b"[" * 65 + b"]" * 65,
        b"[" * 1_000_000,
        b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        b'"' + b"[" * 100_000,
        b'["\\"' + b"[" * 100_000,
        b"[0" + b" " * strict_json.LARGEST + b"]",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_anything_else_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"^folder/config.json: [^\n]{1,200}$"):
        strict_json.parse(data, HERE)


def test_brackets_in_strings_are_not_depth() -> None:
    assert strict_json.parse(b'["' + b"[" * 1000 + b'\\"{"]', HERE) == ["[" * 1000 + '"{']


@pytest.mark.parametrize("value", [{1: 2}, {"a": [float("nan")]}, {"a": float("inf")}, {"a": {1, 2}}, {"a": b"x"}])
def test_what_json_would_change_is_not_written(value: Any) -> None:
    with pytest.raises(CheckpointError, match=r"^config[^\n]+$"):
        strict_json.render(value, "config")


def test_what_could_not_be_read_back_is_not_written() -> None:
    nested: Any = 1
    for _ in range(strict_json.DEEPEST + 1):
        nested = [nested]
    for value in (nested, "x" * strict_json.LARGEST):
        with pytest.raises(CheckpointError, match=r"^config[^\n]+$"):
            strict_json.render(value, "config")


def test_the_deepest_that_is_written_is_read() -> None:
    nested: Any = 1
    for _ in range(strict_json.DEEPEST):
        nested = [nested]
    assert strict_json.parse(strict_json.render(nested, "config"), HERE) == nested
