"""Constructors' annotations, read from source text: what a value may be is known before torch is imported.

`schema_of` in `genkit/config/build.py` asks the imported class and stays the truth. This module asks the file: the
class statement, the assignments that its annotations refer to (`Steps = Annotated[int, Range(...)]`) and the imports
behind them, followed through genkit's own modules and those of the listed foreign classes. A name that leads
elsewhere (a tensor, a network) becomes `Unknown`, and so does every annotation that cannot be read: nothing is
refused because of it.
"""

from __future__ import annotations

import ast
import builtins
import collections.abc
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from genkit import component
from genkit.config.names import current
from genkit.config.resolve import FOREIGN, PACKAGES, ranges_of

ROOT = Path(__file__).resolve().parent.parent.parent
PLAIN_MODULES: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "typing": vars(typing), "collections.abc": vars(collections.abc), "pathlib": {"Path": Path},
    "genkit.component": vars(component), "builtins": vars(builtins),
})  # fmt: skip
WITHOUT_ARGUMENTS = {"ABC", "Component", "Generic", "Protocol", "object", "nn.Module"}  # bases
MODELS = {"genkit.models.base.GenerativeModel", "genkit.models.base.ModelFactory"}  # in an annotation: a trained one
DEPTH = 8  # of imports that are followed


class Unknown:
    """Placeholder in an annotation for a name that is not followed: any value is left to the real check."""


class Object:
    """Placeholder in an annotation for a class of genkit: an object, or its factory."""


class TrainedModel:
    """Placeholder in an annotation for a trained model, given on the command line as the path of its checkpoint."""


@dataclass(frozen=True)
class Signature:
    """The arguments that a constructor takes.

    Attributes:
        name: The class.
        hints: Argument -> annotation, `Annotated` kept.
        required: The arguments without a default.
        complete: Whether these are all; False where a base class or `**kwargs` takes more.
        ancestors: Its own name and those of the classes that it derives from.
    """

    name: str
    hints: Mapping[str, Any]
    required: frozenset[str]
    complete: bool
    ancestors: frozenset[str]


@dataclass(frozen=True)
class Module:
    """A source file by name, as it is written."""

    name: str
    path: Path
    root: Path | None = None  # of a plugin: the folder that its package lies in

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def tree(self) -> ast.Module:
        return _tree(self.path)

    def statement(self, name: str) -> ast.stmt | None:
        """The last top-level statement that gives `name` its meaning."""
        return _statements(self.path).get(name)


@lru_cache(maxsize=256)
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=256)
def _statements(path: Path) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for statement in _flat(_tree(path).body):
        for name in _names(statement):
            found[name] = statement
    return found


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Top-level statements, those under `if TYPE_CHECKING:` included."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _flat(statement.body)
        else:
            yield statement


def _names(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.ImportFrom(names=names) | ast.Import(names=names):
            return [alias.asname or alias.name for alias in names]
    return []


def module_of(name: str, root: Path | None = None) -> Module | None:
    """A module of genkit, of a package with listed foreign classes, or below `root`, found without importing it."""
    top, *parts = name.split(".")
    if top == "genkit":
        base: Path | None = ROOT
    elif any(target.startswith(f"{top}.") for target in FOREIGN):
        spec = find_spec(top)
        base = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    else:
        base = None if root is None else root / top
    if base is None:
        return None
    for path in (base.joinpath(*parts).with_suffix(".py") if parts else base, base.joinpath(*parts, "__init__.py")):
        if path.is_file():
            return Module(name, path, None if top == "genkit" else root)
    return None


def signature_of(target: object) -> Signature | None:
    """The signature of a class that a configuration may name, None where its source does not tell."""
    target = current(target)
    if not isinstance(target, str) or "." not in target:
        return None
    module, _, name = target.rpartition(".")
    own = module.startswith("genkit.") and module.split(".")[1] in PACKAGES
    if not own and target not in FOREIGN:
        return None
    return _signature(module, name)


@lru_cache(maxsize=256)
def _signature(module: str, name: str) -> Signature | None:
    found = class_statement(module, name, DEPTH)
    if found is None:
        return None
    home, statement = found
    signature = _of_class(home, statement, DEPTH)
    if signature is None:
        return None
    hints, required, complete = signature
    ranges = {key: hint for key, hint in ranges_of(f"{module}.{name}").items() if key in hints}
    return Signature(name, hints | ranges, required, complete, frozenset(_ancestors(home, statement, DEPTH)))


def _ancestors(home: Module, statement: ast.ClassDef, depth: int) -> Iterator[str]:
    yield statement.name
    for base in statement.bases:
        name = ast.unparse(base).partition("[")[0]
        found = class_statement(home.name, name, depth) if depth else None
        if found is None:
            yield name
        else:
            yield from _ancestors(*found, depth - 1)


def class_statement(module: str, name: str, depth: int) -> tuple[Module, ast.ClassDef] | None:
    """Find where a class is defined, its imports followed."""
    home = module_of(module)
    statement = home.statement(name) if home is not None else None
    if isinstance(statement, ast.ClassDef) and home is not None:
        return home, statement
    if isinstance(statement, ast.ImportFrom) and home is not None and depth:
        original = next(alias.name for alias in statement.names if (alias.asname or alias.name) == name)
        return class_statement(_absolute(home, statement), original, depth - 1)
    return None


def _absolute(home: Module, statement: ast.ImportFrom) -> str:
    if not statement.level:
        return statement.module or ""
    package = home.name.split(".") if home.path.name == "__init__.py" else home.name.split(".")[:-1]
    return ".".join([*package[: len(package) - statement.level + 1], *filter(None, [statement.module])])


Found = tuple[dict[str, Any], frozenset[str], bool]


def _of_class(home: Module, statement: ast.ClassDef, depth: int) -> Found | None:
    """Hints, required arguments, completeness: of `__init__`, of a dataclass's fields, else of the first base."""
    init = [node for node in statement.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    if init:
        return _of_function(home, init[-1])
    if any("dataclass" in ast.unparse(decorator) for decorator in statement.decorator_list):
        return _of_fields(home, statement, depth)
    for base in statement.bases:
        name = ast.unparse(base).partition("[")[0]
        if name in WITHOUT_ARGUMENTS:
            continue
        found = class_statement(home.name, name, depth) if depth else None
        inherited = _of_class(*found, depth - 1) if found is not None else None
        if inherited is None or inherited[0] or not inherited[2]:
            return inherited
    return {}, frozenset(), True


def _of_function(home: Module, node: ast.FunctionDef) -> Found:
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args][1:]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(positional, defaults, strict=False), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    hints = {argument.arg: hint_of(home, argument.annotation) for argument, _ in pairs}
    required = frozenset(argument.arg for argument, default in pairs if default is None)
    return hints, required, arguments.kwarg is None


def _of_fields(home: Module, statement: ast.ClassDef, depth: int) -> Found:
    hints: dict[str, Any] = {}
    required: set[str] = set()
    for base in statement.bases:
        found = class_statement(home.name, ast.unparse(base), depth) if depth else None
        if found is not None and any("dataclass" in ast.unparse(item) for item in found[1].decorator_list):
            inherited = _of_fields(*found, depth - 1)
            hints |= inherited[0]
            required |= inherited[1]
    for node in statement.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        text = ast.unparse(node.annotation)
        if text.startswith(("ClassVar", "typing.ClassVar")) or (node.value and "init=False" in ast.unparse(node.value)):
            continue
        hints[node.target.id] = hint_of(home, node.annotation)
        if node.value is None:
            required.add(node.target.id)
    return hints, frozenset(required), True


def hint_of(home: Module, node: ast.expr | None) -> Any:
    """An annotation in a module as an object; `Unknown` where it cannot be read."""
    return _hint(home, node, DEPTH)


def _hint(home: Module, node: ast.expr | None, depth: int) -> Any:
    """An annotation as an object; `Unknown` where it cannot be read."""
    if node is None:
        return Any
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # quoted
        node = ast.parse(node.value, mode="eval").body
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    space = {name: _meaning(home, name, depth) for name in names}
    space |= {"__builtins__": {}}
    try:
        return eval(compile(ast.Expression(node), home.name, "eval"), space)  # names of annotations alone
    except Exception:
        return Unknown


def _meaning(home: Module, name: str, depth: int) -> Any:
    """Find what a name stands for in a module."""
    statement = home.statement(name)
    if statement is None:
        return vars(builtins).get(name, Unknown)
    match statement:
        case ast.ClassDef() if home.name.partition(".")[0] == "genkit":
            return TrainedModel if f"{home.name}.{name}" in MODELS else Object
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) if depth:
            return _hint(home, value, depth - 1)
        case ast.ImportFrom() if depth:
            module = _absolute(home, statement)
            original = next(alias.name for alias in statement.names if (alias.asname or alias.name) == name)
            if module in PLAIN_MODULES:
                return PLAIN_MODULES[module].get(original, Unknown)
            there = module_of(module, home.root)
            return Unknown if there is None else _meaning(there, original, depth - 1)
    return Unknown
