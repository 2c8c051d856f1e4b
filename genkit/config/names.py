"""Class paths that have changed: what a checkpoint, a run or a user's file calls a class by an earlier name.

A class of genkit that moves to another module, or is renamed, gets one row here, old path -> new path, and keeps it:
files that hold the old path are read for ever. Rows may chain (A -> B, later B -> C). Both sides are names of genkit's
own, so the allow-list of `genkit.config.resolve`, which is asked for the new name, is as narrow as without them.

Old names are replaced once, where a file or a command line is read, and nothing behind that point sees one. Hashes of
configurations that are stored (in run.json, in results.json) are the exception: they are of `first` names, which no
later move changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TARGET = "_target_"

MOVED: dict[str, str] = {}


def current(target: Any) -> Any:
    """The present name of what a `_target_` names; what never moved, or is no name at all, is returned as it is."""
    while isinstance(target, str) and target in MOVED:
        target = MOVED[target]
    return target


def first(target: Any) -> Any:
    """The earliest name of a class, by the topmost rows where several classes became one."""
    for old, new in MOVED.items():
        if new == target:
            return first(old)
    return target


def with_current_names(value: Any) -> Any:
    """A copy of plain values in which every `_target_` is the present name."""
    return each_node(value, lambda node: {**node, TARGET: current(node[TARGET])})


def with_first_names(value: Any) -> Any:
    """A copy of plain values in which every `_target_` is the earliest name."""
    return each_node(value, lambda node: {**node, TARGET: first(node[TARGET])})


def each_node(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy of plain values in which `change` has replaced every mapping with a `_target_`, the innermost first."""
    if isinstance(value, dict):
        node = {key: each_node(item, change) for key, item in value.items()}
        return change(node) if TARGET in node else node
    return [each_node(item, change) for item in value] if isinstance(value, list) else value
