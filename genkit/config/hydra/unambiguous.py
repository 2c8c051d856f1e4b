"""Words that mean something only one way, as Hydra reads them: `sample RUN`, `+experiment=x`, `logger=null`, paths."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence

from genkit.config.hydra.catalog import APPLYING, OWN_WORDS, USES, Catalog
from genkit.config.hydra.correction import OPEN_KEYS
from genkit.config.hydra.explanation import key_of
from genkit.config.hydra.group_options import LIST_GROUPS
from genkit.config.hydra.paths import quote_path

BARE = {"log": "ckpt", "decompress": "input"}  # what the one bare word of a verb is
FILES = {"eval": "samples", **dict.fromkeys(USES, "input")}  # what a bare file is taken for


def accepted(words: Sequence[str], verb: str, catalog: Catalog, multirun: bool) -> list[str]:
    """The overrides for Hydra's grammar.

    Raises:
        ConfigError: a path holds what cannot be resolved.
    """
    groups = catalog.defaults(verb)
    named = [_without_plus(word, groups) for word in words]
    found = [word for i, word in enumerate(named) if not _overruled(word, named[i + 1 :], groups)]
    declared, plugins = catalog.plugins_keys(verb), catalog.plugins
    return [_open(quote_path(_taken_out(word, groups), multirun, plugins), declared) for word in found]


def doubtful(words: Sequence[str], catalog: Catalog) -> bool:
    """Tell whether a word is one that Hydra takes and genkit does not: its own keys, no value, a list of models."""
    for word in words:
        _key, equals, value = word.partition("=")
        listed = value.startswith("[") and key_of(word) in catalog.groups - LIST_GROUPS
        if listed or (equals and not value) or key_of(word).startswith(("hydra.", "hydra/")):
            return True
    return False


def in_full(words: Sequence[str], verb: str) -> list[str]:
    """The words with the keys that may be left out: RUN is ckpt=RUN, FILE input=FILE.

    For `log`, to= is a name of the group logger=.
    """
    if verb not in BARE:
        return [_named(word, verb, words) for word in words]
    bare, key = [word for word in words if "=" not in word and not word.startswith(("-", "~", "+"))], BARE[verb]
    alone = len(bare) == 1 and not any(key_of(word) == key for word in words)
    return [f"{key}={word}" if alone and word == bare[0] else _of_group(word, verb) for word in words]


def _of_group(word: str, verb: str) -> str:
    for own, group in OWN_WORDS.get(verb, {}).items():
        if word == own or word.startswith((f"{own}=", f"{own}.")):
            return group + word.removeprefix(own)
    return word


def _named(word: str, verb: str, words: Sequence[str]) -> str:
    """A bare folder is ckpt= where a verb applies one, as for `export` and `verify`; a bare file is its input."""
    if "=" in word or word.startswith("~") or verb not in APPLYING:
        return word
    path = os.path.expanduser(word)
    if os.path.isdir(path) and not any(key_of(other) == "ckpt" and "=" in other for other in words):
        return f"ckpt={word}" if sum("=" not in other for other in words) == 1 else word
    return f"{FILES[verb]}={word}" if verb in FILES and os.path.isfile(path) else word


def _without_plus(word: str, groups: dict[str, object]) -> str:
    """Every group stands in the defaults list, so what Hydra calls appending is choosing."""
    return word.lstrip("+") if word.startswith("+") and word.lstrip("+").partition("=")[0] in groups else word


def _taken_out(word: str, groups: dict[str, object]) -> str:
    """`logger=null` for a group that is null unless chosen takes out what an experiment chose."""
    key, _, value = word.partition("=")
    return f"~{key}" if value == "null" and key in groups and groups[key] is None else word


def _overruled(word: str, later: Sequence[str], groups: dict[str, object]) -> bool:
    """Tell whether a later word chooses the same group again: the last one counts, as for every key."""
    key, equals, _ = word.partition("=")
    return bool(equals) and key in groups and any(other.partition("=")[:2] == (key, "=") for other in later)


def _open(word: str, declared: Container[str]) -> str:
    """An override of a key that a plugin declares, or below one that takes any name.

    In the form that lets Hydra add it.
    """
    return f"++{word}" if word.startswith(OPEN_KEYS[:1]) or word.partition("=")[0] in declared else word
