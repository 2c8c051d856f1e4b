"""Values of a nested configuration by their dotted keys, `trainer.max_steps`; a slash in a group counts as a dot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ABSENT = object()


def is_below(key: str, name: str) -> bool:
    """Tell whether `name` is a key or stands above it."""
    return key == name or key.startswith(name + ".")


def lookup(config: Any, key: str, absent: Any = None) -> Any:
    """The value at a dotted key, `absent` where there is none."""
    value: Any = config
    for part in key.replace("/", ".").split("."):
        value = value.get(part, absent) if isinstance(value, Mapping) else absent
    return value


def put(config: dict[str, Any], key: str, value: Any) -> None:
    """Sets the value at a dotted key, in place."""
    *parents, last = key.replace("/", ".").split(".")
    for part in parents:
        config = config.setdefault(part, {})
    config[last] = value


def changes(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> dict[str, list[Any]]:
    """Every dotted key whose value differs -> [old, new], None where it is absent."""
    found: dict[str, list[Any]] = {}
    for name in [*old, *(name for name in new if name not in old)]:
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found |= changes(before, after, f"{above}{name}.")
        elif before != after:
            found[f"{above}{name}"] = [before, after]
    return found
