"""A training configuration in few words: what it is made of, and the keys that differ from their defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from genkit.assembly.recorded_keys import EMBEDDED, TYPED_ALONE
from genkit.config.hydra.catalog import conf_dir, load_yaml
from genkit.config.hydra.default_values import default_values

NO_DEFAULT = "none"
SILENT = {*TYPED_ALONE, EMBEDDED, "schema", "spec", "plugins"}
DEEPEST = 12  # nodes inside nodes
ABSENT = object()


def parts_of(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The classes that a configuration names, by the keys that they stand at."""
    return [(key, str(node["_target_"]).rpartition(".")[2]) for key, node in config.items() if _is_node(node)]


def differences(config: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(key, value, default) of every key whose value is not the default of its class, or of `genkit train`."""
    own = load_yaml(conf_dir() / "train.yaml")
    found: list[tuple[str, Any, Any]] = []
    for key, value in config.items():
        if key in SILENT:
            continue
        if _is_node(value):
            found += _of_node(key, value, DEEPEST)
        elif isinstance(value, Mapping):
            found += _of_mapping(key, value, DEEPEST)
        elif value != own.get(key):
            found.append((key, value, own.get(key, ABSENT)))
    return [(key, written(value), written(default)) for key, value, default in found]


def written(value: Any) -> str:
    """A value as it is typed; what is absent is "none"."""
    if value is ABSENT:
        return NO_DEFAULT
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted key with its value; a list is a value."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{above}{key}.")
        elif above or key not in SILENT:
            yield f"{above}{key}", value


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("_target_"), str)


def _of_node(key: str, node: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any, Any]]:
    defaults = default_values(node["_target_"])
    for name, value in node.items():
        where = f"{key}.{name}"
        if name == "_target_":
            continue
        if _is_node(value) and depth:
            yield where, value["_target_"].rpartition(".")[2], defaults.get(name, ABSENT)
            yield from _of_node(where, value, depth - 1)
        elif value != defaults.get(name, ABSENT):
            yield where, value, defaults.get(name, ABSENT)


def _of_mapping(key: str, mapping: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any, Any]]:
    for name, value in mapping.items():
        where = f"{key}.{name}"
        if _is_node(value) and depth:
            yield where, value["_target_"].rpartition(".")[2], ABSENT
            yield from _of_node(where, value, depth - 1)
        else:
            yield where, value, ABSENT
