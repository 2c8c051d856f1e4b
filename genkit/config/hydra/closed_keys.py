"""Every key that a verb composes is one that it knows, and none that it needs is missing.

Hydra lets `+key=1` add and `~key` delete anything, and a file of the user may hold any key: a typo would be recorded
and never read. The verb's own YAML says what there is. Nodes with a `_target_` are their constructor's to check; empty
ones (`callbacks: {}`) are the user's to fill; top-level names that begin with `_` are for interpolations of the user's
own files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from genkit.config.suggestions import did_you_mean

NULLABLE = {"ema"}  # nodes that may be switched off


def faults(config: Mapping[str, Any], own: Mapping[str, Any], groups: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, what is wrong with it), for a composed configuration.

    Args:
        config: Plain values.
        own: The keys of the verb's YAML with their values.
        groups: The verb's groups and their default options.
    """
    known = {*own, *groups}
    for key in config:
        if key not in known and not key.startswith("_"):
            yield key, f"{key}: unknown key{did_you_mean(key, known)}"
    for key, default in own.items():
        if isinstance(default, Mapping) and key not in NULLABLE:
            yield from _below(config.get(key, default), default, key)
        if key not in config:
            yield key, f"{key}: it is needed: leave ~{key} out" + (f", or write {key}=null" if key in NULLABLE else "")


def _below(node: Any, own: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    if not own:
        return
    inner = [key for key in own if key != "_target_"]
    if not isinstance(node, Mapping):
        yield at, f"{at}: it has keys of its own ({', '.join(f'{at}.{key}' for key in inner)}) and cannot be replaced"
        return
    if "_target_" in node or "_target_" in own:
        return
    for key in node:
        if key not in own:
            near = did_you_mean(f"{at}.{key}", [f"{at}.{name}" for name in inner])
            yield f"{at}.{key}", f"{at}.{key}: unknown key{near or f'; {at} has ' + ', '.join(inner)}"
    for key, default in own.items():
        if key not in node:
            yield f"{at}.{key}", f"{at}.{key}: it is needed: leave ~{at}.{key} out"
        elif isinstance(default, Mapping):
            yield from _below(node[key], default, f"{at}.{key}")
