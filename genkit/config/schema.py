"""One value of a configuration against one type annotation.

A constructor's annotations are its schema. What is understood:

    bool int float str Path None Any    Literal["a", 1]    Annotated[int, Range(1, 9)]    A | B, Optional[A]
    tuple[int, ...]  tuple[int, int]  list[T]  Sequence[T]  dict[str, T]  Mapping[str, T]

A bool is no number, an int serves where a float is asked for, floats are finite. null passes only where the
annotation says None, and no number stands for "unlimited". Anything else (a class, a factory) is handed
back to the caller, who knows how to build things.
"""

from __future__ import annotations

import collections.abc
import math
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from genkit.component import Range
from genkit.config.suggestions import did_you_mean
from genkit.errors import ConfigError

Nested = Callable[[Any, Any, str], Any]  # (value, hint, at) -> what stands for the object to build
WORDS = {bool: "true or false", int: "an integer", float: "a finite number", str: "text", Path: "a path"}
SEQUENCES = (list, collections.abc.Sequence, collections.abc.Iterable)
LARGE = 2**31 - 1
MAPPINGS = (dict, collections.abc.Mapping)


def read(value: Any, hint: Any, at: str, nested: Nested) -> Any:
    """The value as the constructor wants it (a list becomes a tuple, an int a float).

    Raises:
        ConfigError: `at`, the value, and what is allowed.
    """
    origin = get_origin(hint)
    if hint is Any:
        return value
    if hint is None or hint is type(None):
        return _expect(value is None, value, value, hint, at)
    if hint in WORDS:
        return _read_plain(value, hint, hint, at)
    if origin is Annotated:
        return _read_annotated(value, hint, at, nested)
    if origin in (Union, types.UnionType):
        return _read_union(value, hint, at, nested)
    if origin is Literal:
        return _read_literal(value, hint, at)
    if tuple in (hint, origin):
        return _read_tuple(value, hint, at, nested)
    if hint in SEQUENCES or origin in SEQUENCES:
        return _read_sequence(value, hint, at, nested)
    if hint in MAPPINGS or origin in MAPPINGS:
        return _read_mapping(value, hint, at, nested)
    return nested(value, hint, at)


def _expect(right: bool, result: Any, value: Any, hint: Any, at: str, note: str = "") -> Any:
    if not right:
        shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
        raise ConfigError(f"{at}: {shown[:80]} is not {describe(hint)}{note}")
    return result


def _read_plain(value: Any, kind: type, hint: Any, at: str) -> Any:
    """`kind` decides, `hint` (which may carry a range) is what the message describes."""
    if kind is bool:
        return _expect(isinstance(value, bool), value, value, hint, at)
    if kind is int:
        note = f"; write {value:.0f}" if isinstance(value, float) and value.is_integer() else ""
        return _expect(type(value) is int, value, value, hint, at, note)
    if kind is float:
        right = type(value) in (int, float) and abs(value) <= 1e308 and math.isfinite(value)
        return _expect(right, float(value) if right else None, value, hint, at)
    if kind is Path:
        return _expect(isinstance(value, str | Path), value and Path(value), value, hint, at)
    return _expect(isinstance(value, str), value, value, hint, at)


def _read_annotated(value: Any, hint: Any, at: str, nested: Nested) -> Any:
    base, *marks = get_args(hint)
    result = _read_plain(value, base, hint, at) if base in WORDS else read(value, base, at, nested)
    for mark in marks:
        if isinstance(mark, Range) and isinstance(result, int | float):
            largest = f"; the largest is {mark.high:.0f}" if result > mark.high >= LARGE else ""
            _expect(result in mark, value, value, hint, at, largest)
    return result


def _allows_none(hint: Any) -> bool:
    return hint in (None, type(None), Any) or any(map(_allows_none, _members(hint)))


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()


def _read_union(value: Any, hint: Any, at: str, nested: Nested) -> Any:
    """The first member that takes the value; where only one could, its own message is the clearer one."""
    if value is None and _allows_none(hint):
        return None
    members = [member for member in get_args(hint) if member is not type(None)]
    if is_node(value):  # an object is asked for, so the message about the object is the one that helps
        members = [member for member in members if member not in WORDS and get_origin(member) is not Literal] or members
    errors = []
    for member in members:
        try:
            return read(value, member, at, nested)
        except ConfigError as error:
            errors.append(error)
    if len(errors) == 1 or is_node(value):
        raise errors[-1]
    return _expect(False, None, value, hint, at)


def is_node(value: Any) -> bool:
    """Tell whether a value of a configuration describes an object."""
    return isinstance(value, dict) and "_target_" in value


def _read_literal(value: Any, hint: Any, at: str) -> Any:
    choices = get_args(hint)
    right = any(type(value) is type(choice) and value == choice for choice in choices)
    return _expect(right, value, value, hint, at, did_you_mean(str(value), map(str, choices)))


def _read_tuple(value: Any, hint: Any, at: str, nested: Nested) -> Any:
    _expect(isinstance(value, list | tuple), value, value, hint, at)
    kinds = get_args(hint) or (Any, ...)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    _expect(len(kinds) == len(value), value, value, hint, at)
    return tuple(
        read(item, kind, f"{at}[{i}]", nested) for i, (item, kind) in enumerate(zip(value, kinds, strict=True))
    )


def _read_sequence(value: Any, hint: Any, at: str, nested: Nested) -> Any:
    _expect(isinstance(value, list | tuple), value, value, hint, at)
    (kind,) = get_args(hint) or (Any,)
    return [read(item, kind, f"{at}[{i}]", nested) for i, item in enumerate(value)]


def _read_mapping(value: Any, hint: Any, at: str, nested: Nested) -> Any:
    _expect(isinstance(value, dict), value, value, hint, at)
    key_kind, kind = get_args(hint) or (Any, Any)
    for key in value:
        read(key, key_kind, f"{at} (key {key!r})", nested)
    return {key: read(item, kind, f"{at}.{key}", nested) for key, item in value.items()}


def describe(hint: Any) -> str:
    """Say what an annotation allows: "an integer in [1, 65536] or null"."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is None or hint is type(None):
        return "null"
    if hint in WORDS:
        return WORDS[hint]
    if origin is Annotated:
        return describe(args[0]) + "".join(_bounds(mark) for mark in args[1:] if isinstance(mark, Range))
    if origin in (Union, types.UnionType):
        return " or ".join(describe(member) for member in args)
    if origin is Literal:
        return ("one of " if len(args) > 1 else "") + ", ".join(map(str, args))
    if tuple in (hint, origin) or origin in SEQUENCES:
        return _describe_list(args)
    if origin in MAPPINGS:
        return f"a mapping to {describe(args[1])}"
    return f"a {getattr(hint, '__name__', str(hint))}"


def _bounds(mark: Range) -> str:
    if mark.high >= LARGE:  # a bound that is there to be finite tells nobody anything
        return f" {'>' if mark.open_low else '≥'} {mark.low:g}"
    return f" in {mark}"


def _describe_list(args: tuple[Any, ...]) -> str:
    if not args or args[-1] is Ellipsis or len(args) == 1:
        return f"a list of {describe(args[0]) if args else 'values'}"
    return f"a list [{', '.join(map(describe, args))}]"
