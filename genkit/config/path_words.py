"""The words of a verb that takes paths and a few keys, such as `genkit compare RESULTS… out=FOLDER`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from genkit.config.suggestions import did_you_mean
from genkit.errors import ConfigError


def paths_and_options(argv: Sequence[str], keys: Sequence[str], usage: str) -> tuple[tuple[Path, ...], dict[str, str]]:
    """The paths and the values by key; a word that exists as a path is always one.

    Raises ConfigError, with the usage, for an unknown key.
    """
    paths, options = list[Path](), dict[str, str]()
    for word in argv:
        key, equals, value = word.partition("=")
        if equals and key in keys:
            options[key] = value
        elif equals and not os.path.exists(word):
            raise ConfigError(f"{word}: unknown argument{did_you_mean(key, keys)}; usage: {usage}")
        else:
            paths.append(Path(os.path.expanduser(word)))
    return tuple(paths), options


def listed(text: str) -> list[str]:
    """The names in `a,b` or `[a, b]`."""
    return [name.strip() for name in text.strip("[]").split(",") if name.strip()]


def scores_named(text: str) -> tuple[Path, ...]:
    """The files and folders of `scores=`. Raises ConfigError for one that is not there."""
    scores = tuple(Path(os.path.expanduser(name)) for name in listed(text))
    for place in scores:
        if not place.exists():
            raise ConfigError(f"scores={place}: no such file or folder: name what genkit eval wrote")
    return scores
