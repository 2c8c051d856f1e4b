"""The reference of the site: every command's keys, every group's options with what their constructors take.

Nothing is written twice: keys and their descriptions are read from the commands' YAML, as `genkit help` reads them;
options from their YAML and from the docstrings of the classes that these name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genkit.cli import VERBS
from genkit.commands.list import describe, target_of
from genkit.config.hydra.catalog import Catalog, load_yaml
from genkit.config.hydra.help import sections
from genkit.config.hydra.signature import module_of
from genkit.config.hydra.words import Words
from genkit.config.names import current

GROUPS = """A group takes one of its options, `group=option`; the keys of an option are written `group.key=value`, and
`genkit list` prints the same options. [Experiments](../experiments.md), whole configurations, are a group too."""
ARGUMENT = re.compile(r"^ {4}(?P<names>[\w, ]+): (?P<text>.+)$")


def commands() -> str:
    """A section for each command: what it does, its groups, its keys."""
    catalog = Catalog.of(Words())
    parts = ["# Commands and keys", "", "What `genkit help COMMAND` prints. Keys are written `key=value`.", ""]
    for name, verb in VERBS.items():
        parts += [f"## genkit {name}", "", _sentence(verb.help), ""]
        if verb.hydra:
            parts += list(_keys(catalog, name))
    return "\n".join(parts)


def groups() -> str:
    """A section for each group, its options with the arguments of their constructors."""
    catalog = Catalog.of(Words())
    parts = ["# Groups and options", "", GROUPS, ""]
    for group in sorted(catalog.groups - {"experiment"}):
        parts += [f"## {group}", ""]
        for option, file in catalog.options(group).items():
            parts += list(_option(group, option, file))
    return "\n".join(parts)


def _keys(catalog: Catalog, verb: str) -> Iterator[str]:
    defaults = catalog.defaults(verb)
    if defaults:
        groups = catalog.groups - {"experiment"}
        linked = ", ".join(f"[`{group}`](groups.md#{group.replace('/', '')})={chosen or 'null'}"
                           for group, chosen in defaults.items() if group in groups)  # fmt: skip
        yield from (f"Groups and their defaults: {linked}", "") if linked else ()
    for section in sections(catalog.primary_file(verb).read_text(encoding="utf-8")):
        told = [(key, text) for key, text in section.keys if key.partition("=")[0] not in defaults]
        if told:
            yield from (f"**{section.title}**", "", "| key and default | meaning |", "|---|---|")
            yield from (f"| `{_cell(key)}` | {_cell(_escaped(text))} |" for key, text in told)
            yield ""


def _option(group: str, option: str, file: Path) -> Iterator[str]:
    node = load_yaml(file)
    yield from (f"### {group}={option}", "", _escaped(_sentence(describe(file, group))), "")
    told = arguments(target_of(node, group))
    chosen = node.get(group) if isinstance(node.get(group), dict) else node
    assert isinstance(chosen, dict)
    values = {key: value for key, value in chosen.items() if key not in ("_target_", "_partial_", "defaults")}
    if base := [entry for entry in node.get("defaults", ()) if isinstance(entry, str) and entry != "_self_"]:
        yield from (f"Begins from {', '.join(f'`{group}={name}`' for name in base)}, and changes:", "")
    if values:
        yield from ("| key | value here | meaning |", "|---|---|---|")
        yield from (f"| `{name}` | {_value(values, name)} | {_cell(_escaped(told.get(name, '')))} |" for name in values)
        yield ""


def arguments(target: str) -> dict[str, str]:
    """Argument -> what the docstring of a class, or of its bases in the same place, says of it."""
    module, _, name = str(current(target)).rpartition(".")
    home = module_of(module) if module else None
    statement = home.statement(name) if home is not None else None
    if not isinstance(statement, ast.ClassDef):
        return {}
    found: dict[str, str] = {}
    for base in statement.bases:
        found |= arguments(f"{module}.{ast.unparse(base).partition('[')[0]}")
    return found | _documented(ast.get_docstring(statement) or "")


def _documented(docstring: str) -> dict[str, str]:
    """The entries of "Arguments:" or "Args:"."""
    _, _, below = docstring.partition("Arguments:\n" if "Arguments:\n" in docstring else "Args:\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in below.splitlines():
        if line.strip() and not line.startswith("    "):
            break
        if (entry := ARGUMENT.match(line)) is not None:
            names = [name.strip() for name in entry["names"].split(",")]
            found |= dict.fromkeys(names, entry["text"])
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def _value(values: dict[str, Any], name: str) -> str:
    if name not in values:
        return ""
    text = str(values[name]) if not isinstance(values[name], bool | None) else str(values[name]).lower()
    return f"`{_cell('null' if text == 'none' else text)}`"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _escaped(text: str) -> str:
    """Text of a docstring, whose angle brackets are no HTML."""
    return text.replace("<", "&lt;").replace("[", "\\[") if "`" not in text else text.replace("<", "&lt;")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
