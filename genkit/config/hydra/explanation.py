"""Explain Hydra's refusal of a command line, in one line of ours with the next command.

Runs only after a refusal. What the words do not explain is in a file: a configuration of the user that names what does
not exist, or holds no YAML. Hydra's advice ("use +key", "override …: …") is left out of it: it names no command of
genkit.
"""

from __future__ import annotations

import re

from genkit.config.hydra.catalog import Catalog
from genkit.config.hydra.compose import readable
from genkit.config.hydra.correction import Corrector
from genkit.config.hydra.failure import LIMIT, one_line
from genkit.config.hydra.words import Words
from genkit.errors import ConfigError

ADVICE = (
    r"To append to your (config|default list) use \S+", r"Did you mean to override \S+\?", r"Set the environment .*",
    r"(full_key|object_type|reference_type)[:=] ?\S*", r"Available options in .*", r"Config search path:.*",
    r"To override a value use '.*'", r"See https?://\S+.*",
)  # fmt: skip
NOT_FOUND = re.compile(r"In '(?P<file>[^']*)': Could not (?:find|load) '(?P<option>[^']*)'")
NO_KEY = re.compile(r"Interpolation key '(?P<name>[^']*)' not found")
FULL_KEY = re.compile(r"full_key: (?P<key>\S+)")


def explain(error: Exception, verb: str, words: Words, catalog: Catalog) -> ConfigError:
    """The error shown instead of Hydra's."""
    line = Corrector(verb, words, catalog).message()
    unread = [word for word in words.overrides if not readable(word)]
    if line is None and unread:
        line = f"{unread[0]}: cannot be read: check its brackets, quotes and commas"
    return ConfigError(line or translated(error))


def translated(error: BaseException) -> str:
    """An error of Hydra, OmegaConf or YAML in words of genkit."""
    text = f"{error} {error.__cause__ or ''}"
    if found := NOT_FOUND.search(text):
        return f"{found['file']}.yaml: there is no {found['option']}.yaml, which it names"
    key = FULL_KEY.search(text)
    at = f"{key['key']}: " if key else ""
    if found := NO_KEY.search(text):
        return f"{at}${{{found['name']}}} names no key"
    for advice in ADVICE:
        text = re.sub(advice, "", text, flags=re.DOTALL if "path" in advice else 0)
    return at + one_line(text)[:LIMIT].strip(" .;:")


def key_of(word: str) -> str:
    """`+optimizer@a.b=sgd` -> optimizer"""
    return word.partition("=")[0].lstrip("+~").partition("@")[0]
