"""Why Hydra refused a command line, in one line with the nearest right name.

Runs only after a refusal. Hydra's own words are kept for what is not recognised here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from genkit.config.catalog import Catalog
from genkit.config.failure import LIMIT, one_line
from genkit.config.hints import did_you_mean, listing
from genkit.config.hydra_app import composed
from genkit.config.words import Words
from genkit.errors import ConfigError

PLAIN = re.compile(r"[\w./-]+")


def explain(error: Exception, verb: str, words: Words, catalog: Catalog) -> ConfigError:
    """The error to tell the user in the place of Hydra's."""
    for check in (_unreadable, _unknown_option, _unknown_key):
        for word in words.overrides:
            if line := check(word, verb, words, catalog):
                return ConfigError(line)
    cause = f": {error.__cause__}" if error.__cause__ else ""
    text = str(error).partition("Config search path:")[0]
    return ConfigError(one_line(f"{text}{cause}")[:LIMIT])


def key_of(word: str) -> str:
    """`+optimizer@a.b=sgd` -> optimizer"""
    return word.partition("=")[0].lstrip("+~").partition("@")[0]


def _unreadable(word: str, verb: str, words: Words, catalog: Catalog) -> str | None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if "=" not in word and not word.startswith("~"):
        groups = [f"{group}={word}" for group in catalog.defaults(verb) if word in catalog.options(group)]
        hint = f"; did you mean {groups[0]}?" if groups else did_you_mean(word, catalog.defaults(verb))
        return f"{word}: an argument of genkit {verb} is written key=value{hint}"
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        key, _, value = word.partition("=")
        return f"{key}: cannot read the value {value}; if it is text, quote it: {key}='\"{value}\"'"
    return None


def _unknown_option(word: str, verb: str, words: Words, catalog: Catalog) -> str | None:
    group, value = key_of(word), word.partition("=")[2]
    if group not in catalog.groups or not value:
        return None
    if value == "null":
        return f"{word}: a group is not set to null; leave {group}= out for what the configuration takes by itself"
    options = catalog.options(group)
    values = [part.strip(" '\"") for part in value.strip("[]").split(",")]
    for name in values:
        if name != "null" and PLAIN.fullmatch(name) and name not in options:
            near = did_you_mean(name, options)
            return f"{group}={name}: there is no such option of {group}; it has {listing(options) or 'none'}{near}"
    if len(values) > 1 and not words.multirun and not value.startswith("["):
        return f"{group}={value}: several values in one run; add -m to run one job for each"
    return None


def _unknown_key(word: str, verb: str, words: Words, catalog: Catalog) -> str | None:
    key = key_of(word)
    if word.startswith("+") or key in catalog.groups or key.split(".")[0] == "hydra":
        return None
    keys = known_keys(verb, words, catalog)
    if not keys or key in keys:
        return None
    return f"{key}: unknown key{_advice(key, verb, keys, catalog)}"


def _advice(key: str, verb: str, keys: set[str], catalog: Catalog) -> str:
    parent = key.rpartition(".")[0]
    below = [name.rpartition(".")[2] for name in keys - {f"{parent}._target_"} if name.rpartition(".")[0] == parent]
    if parent in catalog.defaults(verb) and not below:
        return f"; choose an option first: {parent}={'|'.join(catalog.options(parent)) or '…'}"
    if near := did_you_mean(key, keys | set(catalog.defaults(verb))):
        return near
    return f"; {parent} has {listing(below)}" if parent and below else f"; genkit {verb} --cfg job shows them all"


def known_keys(verb: str, words: Words, catalog: Catalog) -> set[str]:
    """Every key, dotted, that the group choices of a command line compose; empty where even those do not compose."""
    from hydra.errors import HydraException

    folder = ["--config-dir", words.config_dir] if words.config_dir else []
    search = [word for word in words.overrides if word.startswith("hydra.searchpath=")]
    try:
        return set(_keys(composed(verb, [*folder, *search, *group_choices(words.overrides, catalog)])))
    except (HydraException, ValueError):  # a ValueError for group=null
        return set()


def group_choices(overrides: Sequence[str], catalog: Catalog) -> list[str]:
    """Overrides that choose a group's option; of a sweep, the first value."""
    chosen = {}
    for word in overrides:
        group, value = key_of(word), word.partition("=")[2]
        if group in catalog.groups and value:
            chosen[group] = value if value.startswith("[") else value.split(",")[0]
    return [f"{group}={value}" for group, value in chosen.items()]


def _keys(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Keys of a configuration; an interpolation is a leaf, since nothing below it can be overridden."""
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")
