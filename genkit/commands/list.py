"""`genkit list KIND`: what there is to choose from, read from YAML and source text; nothing is imported.

`genkit list uses` is the exception: which models can what is asked of their classes.

A line per option: its name and one sentence, which is the YAML's opening comment, else the first line of the class's
docstring. An experiment's line goes on with what its `# Reaches:` comment promises: steps and parameters, which are
the same anywhere, then scores, then CPU seconds, which a busy machine raises.
"""

from __future__ import annotations

import ast
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from genkit.config.hydra.catalog import KINDS, PACKAGE, Catalog, load_yaml
from genkit.config.hydra.help_layout import names, rows
from genkit.config.hydra.words import parse
from genkit.config.names import current
from genkit.config.suggestions import nearest_name
from genkit.errors import ConfigError

REACHES = "# Reaches: "
USES = "uses"


def run(argv: list[str]) -> int:
    """Print what there is; raises ConfigError for an unknown kind."""
    words = parse(argv)
    catalog = Catalog.of(words)
    if words.flags.keys() & {"-h", "--help"}:
        print(f"usage: genkit list {'|'.join((*KINDS, USES))} [--config-dir FOLDER]")
        return 0
    if not words.overrides:
        for kind, group in KINDS.items():
            print("\n".join(names(catalog.options(group) or ["(none)"], " " * 14, kind)))
        print(f"{USES:<14}which of the models can what: genkit list {USES}")
        return 0
    for kind in words.overrides:
        if kind == USES:
            show_uses(catalog)
        else:
            show(catalog, group_of(kind, catalog))
    return 0


def group_of(kind: str, catalog: Catalog) -> str:
    """The group that is called so. Raises ConfigError, with the list that a name stands in, for anything else."""
    if kind in KINDS:
        return KINDS[kind]
    if kind in catalog.groups:
        return kind
    for name, group in KINDS.items():
        if kind in catalog.options(group):
            raise ConfigError(f"genkit list {kind}: {kind} is one of the {name}; try: genkit list {name}")
    near = nearest_name(kind, (*KINDS, USES))
    advice = f"; did you mean {near}? try: genkit list {near}" if near else ""
    raise ConfigError(f"genkit list {kind}: choose one of {', '.join((*KINDS, USES))}{advice}")


def show(catalog: Catalog, group: str) -> None:
    options = catalog.options(group)
    if sys.stdout.isatty():
        told = [
            (name, " ".join(filter(None, (describe(file, group), promised(file))))) for name, file in options.items()
        ]
        print("\n".join(rows(told, indent="")))
        return
    width = max(map(len, options), default=0)
    for name, file in options.items():  # a line each, to be searched
        print(f"{name:<{width}}  {describe(file, group)}".rstrip())
        if promise := promised(file):
            print(f"{'':<{width}}    {promise}")


def show_uses(catalog: Catalog) -> None:
    """Each use: what is typed, what it makes, and the models that can, by family."""
    from genkit.assembly.uses import USES as TABLE  # torch costs two seconds, which no other list need pay
    from genkit.assembly.uses import families, models_that_can

    found = families(catalog, catalog.plugins)
    for use in TABLE.values():
        print(f"genkit {use.command}\n  {use.what}")
        for family, models in models_that_can(use, found).items():
            print("\n".join(names(models, " " * 24, f"  {family}")))


def describe(file: Path, group: str) -> str:
    """One sentence about an option."""
    node = load_yaml(file)
    if node.keys() == {"defaults"} and file.parent.name == "suite":  # a suite is what it is made of
        return " ".join(str(entry).rpartition("/")[2] for entry in node["defaults"] if isinstance(entry, str))
    comments = [line[1:].strip() for line in _opening_comments(file) if not line[1:].strip().startswith("@package")]
    if comments:
        return comments[0]
    return docstring_line(target_of(node, group))


def promised(file: Path) -> str:
    """Scores and time of an experiment, from its comment `# Reaches:`; "" without one."""
    lines = _opening_comments(file)
    return next((line.removeprefix(REACHES) for line in lines if line.startswith(REACHES)), "")


def _opening_comments(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:count]


def target_of(node: dict[str, Any], group: str) -> str:
    """The `_target_` of an option, also where the option is a `# @package _global_` one."""
    inner = node.get(group)
    chosen = inner if isinstance(inner, dict) and "_target_" in inner else node
    return str(chosen.get("_target_", ""))


def docstring_line(target: str) -> str:
    """The first line of a class's docstring, "" where its source cannot be found."""
    module, _, name = str(current(target)).rpartition(".")
    file = _source(module)
    if file is None:
        return ""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    text = ast.get_docstring(found[0]) if found else None
    return text.splitlines()[0] if text else ""


def _source(module: str) -> Path | None:
    """The source file of a module; of genkit's own without importing its packages."""
    parts = module.split(".")
    if parts[0] == "genkit":
        file = PACKAGE.joinpath(*parts[1:]).with_suffix(".py")
        return file if file.is_file() else None
    try:
        spec = find_spec(parts[0])
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent.joinpath(*parts[1:]).with_suffix(".py") if len(parts) > 1 else Path(spec.origin)
    return file if file.is_file() else None
