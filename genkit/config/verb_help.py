"""`genkit train --help`: the groups that the verb composes, its own keys with their comments, the useful flags."""

from __future__ import annotations

import re

from genkit.config.catalog import Catalog
from genkit.config.words import Words

TEMPLATE = """genkit {verb}: {help}

usage: genkit {verb} [group=option …] [key=value …] [flags]

groups (each takes one option; its keys are shown by `genkit {verb} GROUP=OPTION --cfg job`)
{groups}

keys
{keys}

flags
  -m, --multirun       run every combination of values: seed=1,2,3
  --cfg job [--resolve]  print the composed configuration and stop
  --config-dir FOLDER  your own configurations besides genkit's
  --info               how the configuration was put together
  --hydra-help         what else Hydra can do"""


def verb_help(verb: str, help_line: str, words: Words) -> str:
    catalog = Catalog.of(words)
    defaults = catalog.defaults(verb)
    width = max(map(len, defaults), default=0)
    rows = [f"  {group:<{width}}  {_options(catalog, group, chosen)}" for group, chosen in defaults.items()]
    keys = own_keys(catalog.primary_file(verb).read_text(encoding="utf-8"))
    return TEMPLATE.format(verb=verb, help=help_line, groups="\n".join(rows), keys=keys)


def _options(catalog: Catalog, group: str, chosen: object) -> str:
    """ "adam [adamw] rmsprop", the default in brackets."""
    names = [f"[{name}]" if name == chosen else name for name in catalog.options(group)]
    return " ".join(names if chosen else ["[null]", *names])


def own_keys(text: str) -> str:
    """The text of a primary configuration below its defaults list, indented."""
    body = re.split(r"^defaults:\n(?:[ \t-].*\n|\n)*", text, maxsplit=1, flags=re.MULTILINE)[-1]
    return "\n".join(f"  {line}".rstrip() for line in body.strip().splitlines())
