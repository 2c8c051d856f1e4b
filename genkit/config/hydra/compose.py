"""The composition of chosen groups, and whether Hydra can read a word, to explain refusals."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from genkit.config.hydra.app import composed
from genkit.config.hydra.catalog import Catalog


@lru_cache(maxsize=64)
def composed_config(
    folders: tuple[Path, ...], verb: str, config_dir: str | None, search: tuple[str, ...], choices: tuple[str, ...]
) -> dict[str, Any]:
    """The configuration that a verb composes with these options of the folders, interpolations as text.

    Where the choices do not compose, that of none; where even that does not, the verb's own file.
    """
    from hydra.errors import HydraException

    folder = ["--config-dir", config_dir] if config_dir else []
    for chosen in (choices, ()):
        try:
            return composed(verb, [*folder, *search, *chosen])
        except (HydraException, ValueError):  # a ValueError for group=null
            continue
    return Catalog(folders).own_keys(verb)


def dotted(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of a configuration with their values; an interpolation is a leaf: nothing below it can be overridden."""
    for key, value in node.items():
        yield f"{prefix}{key}", value
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            for i, item in enumerate(value):
                yield f"{prefix}{key}.{i}", item
                if isinstance(item, dict):
                    yield from dotted(item, f"{prefix}{key}.{i}.")


def readable(word: str) -> bool:
    """Tell whether Hydra's grammar takes an override."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        OverridesParser.create().parse_override(word)
    except (HydraException, ValueError):
        return False
    return True
