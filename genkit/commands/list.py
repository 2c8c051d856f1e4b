"""`genkit list KIND`: what there is to choose from, read from YAML and source text; nothing is imported.

A line per option: its name and one sentence, which is the YAML's opening comment, else the first line of the class's
docstring. An experiment's line goes on with what its `# Reaches:` comment promises: steps and parameters, which are
the same anywhere, then scores, then CPU seconds, which a busy machine raises.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from genkit.config.catalog import KINDS, PACKAGE, Catalog, load_yaml
from genkit.config.hints import did_you_mean
from genkit.config.words import parse
from genkit.errors import ConfigError

REACHES = "# Reaches: "


def run(argv: list[str]) -> int:
    """Raises ConfigError for an unknown kind."""
    words = parse(argv)
    catalog = Catalog.of(words)
    if words.flags.keys() & {"-h", "--help"}:
        print(f"usage: genkit list {'|'.join(KINDS)} [--config-dir FOLDER]")
        return 0
    if not words.overrides:
        for kind, group in KINDS.items():
            print(f"{kind:<12}  {' '.join(catalog.options(group)) or '(none)'}")
        return 0
    for kind in words.overrides:
        show(catalog, group_of(kind))
    return 0


def group_of(kind: str) -> str:
    if kind in KINDS.values():
        return kind
    if kind not in KINDS:
        raise ConfigError(f"genkit list {kind}: choose one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    return KINDS[kind]


def show(catalog: Catalog, group: str) -> None:
    options = catalog.options(group)
    width = max(map(len, options), default=0)
    for name, file in options.items():
        print(f"{name:<{width}}  {describe(file, group)}".rstrip())
        if promise := promised(file):
            print(f"{'':<{width}}    {promise}")


def describe(file: Path, group: str) -> str:
    """One sentence about an option."""
    node = load_yaml(file)
    if node.keys() == {"defaults"}:  # a suite is what it is made of
        return " ".join(str(entry).rpartition("/")[2] for entry in node["defaults"] if isinstance(entry, str))
    comments = [line[1:].strip() for line in _opening_comments(file) if not line[1:].strip().startswith("@package")]
    if comments:
        return comments[0]
    return docstring_line(target_of(node, group))


def promised(file: Path) -> str:
    """What an experiment reaches and in what time, from the comment that says so; "" without one."""
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
    module, _, name = target.rpartition(".")
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
