"""Default values of constructors, read from source text: which keys of a configuration somebody chose.

As `genkit.config.hydra.signature` reads annotations: nothing is imported, so a configuration that came from elsewhere
is described without running anything. A default that is no literal, and a class that is not found, are left out.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any

from genkit.config.hydra.signature import DEPTH, Module, class_statement
from genkit.config.names import current


def default_values(target: object) -> dict[str, Any]:
    """Argument -> default of the class with this path; {} for one that is not found."""
    path = current(target)
    if not isinstance(path, str) or "." not in path:
        return {}
    module, _, name = path.rpartition(".")
    return dict(_of_path(module, name))


@lru_cache(maxsize=256)
def _of_path(module: str, name: str) -> tuple[tuple[str, Any], ...]:
    found = class_statement(module, name, DEPTH)
    return () if found is None else tuple(_of_class(*found, DEPTH).items())


def _of_class(home: Module, statement: ast.ClassDef, depth: int) -> dict[str, Any]:
    inits = [node for node in statement.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    if inits:
        return _of_function(inits[-1])
    found: dict[str, Any] = {}
    for base in statement.bases if depth else ():
        above = class_statement(home.name, ast.unparse(base).partition("[")[0], depth)
        if above is not None:
            found |= _of_class(*above, depth - 1)
    for node in statement.body:  # of a dataclass
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            _add(found, node.target.id, node.value)
    return found


def _of_function(node: ast.FunctionDef) -> dict[str, Any]:
    arguments, found = node.args, dict[str, Any]()
    positional = [*arguments.posonlyargs, *arguments.args]
    given = positional[len(positional) - len(arguments.defaults) :]
    for argument, value in [
        *zip(given, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]:
        _add(found, argument.arg, value)
    return found


def _add(found: dict[str, Any], name: str, value: ast.expr | None) -> None:
    if value is None:
        return
    try:
        default = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return
    found[name] = list(default) if isinstance(default, tuple) else default
