"""Arguments of the verbs that Hydra does not run: bare values and `key=value`, a path taken as it is."""

from __future__ import annotations

import os
from collections.abc import Sequence

from genkit.config.hydra.paths import resolved
from genkit.config.suggestions import did_you_mean
from genkit.errors import ConfigError


def read_arguments(
    argv: Sequence[str], keys: Sequence[str], usage: str, optional: Sequence[str] = ()
) -> dict[str, str]:
    """Every key with its value; arguments without a key fill the keys in their order. `debug=true` is left out.

    `optional` keys are written with their name, and may be missing.

    Raises:
        ConfigError: an unknown key, one too many, or one missing.
    """
    found: dict[str, str] = {}
    for word in argv:
        key, equals, value = word.partition("=")
        free = [name for name in keys if name not in found]
        if key == "debug":
            continue
        if equals and (key in keys or key in optional):
            found[key] = os.path.expanduser(_path(value, key))
        elif free and (not equals or os.path.exists(word)):
            found[free[0]] = os.path.expanduser(_path(word, free[0]))
        else:
            raise ConfigError(f"{word}: unknown argument{did_you_mean(key, [*keys, *optional])}; usage: {usage}")
    if missing := [key for key in keys if not found.get(key)]:
        raise ConfigError(f"{missing[0]}= is missing; usage: {usage}")
    return found


def _path(value: str, key: str) -> str:
    return value if os.path.exists(os.path.expanduser(value)) else resolved(value, key)
