"""The arguments that models declare as changeable at sampling, and the trained models that they take.

A mark in an annotation (`genkit.component.AtSampling`) is all that a verb knows of them. Before torch is imported the
marks are read from source: of all models of genkit, and of the packages that `plugins=` names. Once the class of a
checkpoint's model is known, its own annotations decide.
"""

from __future__ import annotations

import ast
import collections.abc
import inspect
import os
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from genkit.component import AtSampling
from genkit.config.build import schema_of
from genkit.config.hydra.signature import MODELS, ROOT, Module, Object, TrainedModel, Unknown, hint_of
from genkit.config.schema import read
from genkit.errors import ConfigError

MARK, FACTORY = AtSampling.__name__, "ModelFactory"
PLAIN = {bool, int, float, str, Path, None, type(None), Any, Unknown, TrainedModel}


@dataclass(frozen=True)
class DeclaredArgument:
    """A marked argument.

    Attributes:
        argument: Its name.
        hint: Its annotation, the mark left out.
        mark: What it declares.
    """

    argument: str
    hint: Any
    mark: AtSampling

    @property
    def key(self) -> str:
        """The key that the command line has for it."""
        return self.mark.key or self.argument

    @property
    def is_object(self) -> bool:
        """Tell whether it is an object, chosen as an option of a group, and no value."""
        return any(kind in (Object, TrainedModel) for kind in _kinds(self.hint))

    @property
    def is_trained_model(self) -> bool:
        """Tell whether it is a trained model, named by the path of its checkpoint."""
        return TrainedModel in _kinds(self.hint)

    @property
    def sweeps(self) -> dict[str, Any]:
        """The keys that `sweep.` takes of it -> the annotation of one value."""
        parts = {f"{self.key}.{name}": hint for name, hint in self.mark.parts}
        number = any(kind in (int, float) for kind in _kinds(self.hint))
        return {self.key: without_none(self.hint)} if number else parts


Catalogue = Mapping[str, tuple[DeclaredArgument, ...]]  # key -> how each model declares it


def declared(plugins: Sequence[str] = ()) -> Catalogue:
    """The marked arguments of genkit's models and abilities and of the plugins', read from source, by key."""
    found: dict[str, tuple[DeclaredArgument, ...]] = {}
    for one in (*_of_genkit(), *(one for plugin in plugins for one in _of_plugin(plugin, os.getcwd()))):
        if one not in found.get(one.key, ()):
            found[one.key] = (*found.get(one.key, ()), one)
    return found


def foreign_keys(plugins: Sequence[str]) -> Catalogue:
    """Those keys that plugins alone declare."""
    own = {one.key for one in _of_genkit()}
    return {key: marks for key, marks in declared(plugins).items() if key not in own} if plugins else {}


def help_of(marks: Iterable[DeclaredArgument]) -> str:
    """The description of a key."""
    return "; ".join(dict.fromkeys(one.mark.help for one in marks if one.mark.help))


def sweeps(catalogue: Catalogue) -> dict[str, list[Any]]:
    """Every key that can be swept -> the annotations of its values."""
    found: dict[str, list[Any]] = {}
    for marks in catalogue.values():
        for one in marks:
            for key, hint in one.sweeps.items():
                found.setdefault(key, []).append(hint)
    return found


def check_value(value: Any, hints: Sequence[Any], at: str) -> Any:
    """The value as one of the annotations has it.

    Raises:
        ConfigError: none of them takes it; the first one's reason.
    """
    reasons = []
    for hint in hints:
        try:
            return read(value, hint, at, _nested)
        except ConfigError as error:
            reasons.append(error)
    raise reasons[0]


def _nested(value: Any, hint: Any, at: str) -> Any:
    """Read a value that is not plain: a checkpoint is a path, an object is for its class to check."""
    if hint is TrainedModel and not isinstance(value, str):
        raise ConfigError(f"{at}: {value!r} is not the path of a checkpoint")
    return value


# --- from source


@lru_cache(maxsize=1)
def _of_genkit() -> tuple[DeclaredArgument, ...]:
    marking = _models_with({MARK})
    names = {MARK}.union(*map(_names_of_marks, marking))  # what one file calls a mark others import
    return tuple(one for module in _models_with(names) for one in _marked(module, names))


def _models_with(words: set[str]) -> list[Module]:
    """The source files of genkit's models that hold one of some words."""
    return [module for module, text in _models() if any(word in text for word in words)]


@lru_cache(maxsize=1)
def _models() -> list[tuple[Module, str]]:
    """The source files of genkit's models and their text."""
    files = sorted((ROOT / "models").rglob("*.py"))
    modules = [Module(".".join(file.relative_to(ROOT.parent).with_suffix("").parts), file) for file in files]
    return [(module, module.text) for module in modules]


@lru_cache(maxsize=16)
def _of_plugin(name: str, folder: str) -> tuple[DeclaredArgument, ...]:
    return tuple(one for module in _plugin_modules(name, folder) for one in _marked(module, set()))


def _plugin_modules(name: str, folder: str) -> Iterator[Module]:
    """The source files of a plugin, found where an import would find it."""
    top = name.partition(".")[0]
    spec = PathFinder.find_spec(top, [*(entry for entry in sys.path if entry), folder]) if top.isidentifier() else None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return
    file = Path(spec.origin)
    root = file.parent.parent if file.name == "__init__.py" else file.parent
    base = root.joinpath(*name.split("."))
    for path in [base.with_suffix(".py")] if base.with_suffix(".py").is_file() else sorted(base.rglob("*.py")):
        yield Module(".".join(path.relative_to(root).with_suffix("").parts), path, root)


def _marked(module: Module, imported: set[str]) -> Iterator[DeclaredArgument]:
    """The marked arguments of every method in a file, by names that it may import; a plugin's may have any."""
    names = _names_of_marks(module) | imported
    for function in _methods(module):
        if function.name == "__init__" or _names_in(function.args) & names:
            arguments = [each for each in _arguments(function) if module.root or _names_in(each) & names]
            yield from _declared({each.arg: hint_of(module, each.annotation) for each in arguments})


def _names_of_marks(module: Module) -> set[str]:
    """The mark's own name, and the names that a file gives to annotations with one."""
    assigned = [node for node in _body(module) if isinstance(node, ast.Assign) and MARK in _names_in(node.value)]
    targets = (target for node in assigned for target in node.targets)
    return {MARK, *(target.id for target in targets if isinstance(target, ast.Name))}


def _names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _methods(module: Module) -> list[ast.FunctionDef]:
    """The methods of all classes in a file."""
    classes = (node for node in _body(module) if isinstance(node, ast.ClassDef))
    return [node for cls in classes for node in cls.body if isinstance(node, ast.FunctionDef)]


def _body(module: Module) -> list[ast.stmt]:
    """The statements of a file, none of one that cannot be read: its import says why."""
    try:
        return module.tree.body
    except (OSError, SyntaxError, ValueError):
        return []


def _arguments(function: ast.FunctionDef) -> list[ast.arg]:
    return [each for each in (*function.args.args, *function.args.kwonlyargs) if each.annotation is not None]


def _declared(hints: Mapping[str, Any]) -> Iterator[DeclaredArgument]:
    for name, hint in hints.items():
        mark = next((mark for mark in _marks(hint) if isinstance(mark, AtSampling)), None)
        if mark is not None:
            yield DeclaredArgument(name, _without_mark(hint), mark)


def trained_models(plugins: Sequence[str] = ()) -> frozenset[str]:
    """The keys of sampling that are trained models."""
    known = declared(plugins)
    return frozenset(key for key, marks in known.items() if any(one.is_trained_model for one in marks))


def nested_models(plugins: Sequence[str] = ()) -> frozenset[str]:
    """The arguments of models' constructors that are trained models themselves, read from source."""
    own = _nested_of_genkit()
    return own.union(*(_nested_of(module) for plugin in plugins for module in _plugin_modules(plugin, os.getcwd())))


@lru_cache(maxsize=1)
def _nested_of_genkit() -> frozenset[str]:
    return frozenset[str]().union(*map(_nested_of, _models_with({FACTORY})))


def _nested_of(module: Module) -> frozenset[str]:
    inits = [function for function in _methods(module) if function.name == "__init__"]
    named = [each for init in inits for each in _arguments(init) if FACTORY in ast.unparse(each)]
    return frozenset(each.arg for each in named if TrainedModel in _kinds(hint_of(module, each.annotation)))


# --- of a class


@dataclass(frozen=True)
class SamplingCall:
    """A method of an ability that takes a trained model when samples are drawn.

    Attributes:
        method: Its name.
        arguments: Those that are marked, by key.
    """

    method: str
    arguments: Mapping[str, DeclaredArgument]

    @property
    def model(self) -> DeclaredArgument:
        """The argument that is the trained model."""
        return next(one for one in self.arguments.values() if one.is_trained_model)


def declared_by(cls: type) -> dict[str, DeclaredArgument]:
    """The marked arguments of a model's constructor, by key."""
    return {one.key: one for one in _declared(schema_of(cls))}


def calls_of(cls: type) -> list[SamplingCall]:
    """The methods of a model's abilities that take a trained model when samples are drawn."""
    found = {}
    for owner in cls.__mro__:
        for name, function in vars(owner).items():
            if name != "__init__" and inspect.isfunction(function) and MARK in str(function.__annotations__):
                marks = _declared(typing.get_type_hints(function, include_extras=True))
                found[name] = SamplingCall(name, {one.key: one for one in marks})
    return [call for call in found.values() if any(one.is_trained_model for one in call.arguments.values())]


# --- annotations


def _marks(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__metadata__", ())


def _without_mark(hint: Any) -> Any:
    kept = [mark for mark in _marks(hint) if not isinstance(mark, AtSampling)]
    base = get_args(hint)[0]
    return Annotated[(base, *kept)] if kept else base


def alternatives(hint: Any) -> list[Any]:
    """The alternatives of an annotation, without their marks and ranges."""
    if get_origin(hint) is Annotated:
        return alternatives(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return [each for member in get_args(hint) for each in alternatives(member)]
    return [hint]


def _kinds(hint: Any) -> set[Any]:
    """List the alternatives of an annotation; a class is `TrainedModel` or `Object`."""
    return {_kind(each) for each in alternatives(hint)}


def _kind(hint: Any) -> Any:
    origin = get_origin(hint)
    if hint in PLAIN or (origin is not None and origin is not collections.abc.Callable):
        return origin or hint
    name = f"{getattr(hint, '__module__', '')}.{getattr(hint, '__qualname__', '')}"
    return TrainedModel if name in MODELS else Object


def without_none(hint: Any) -> Any:
    """An annotation without `| None`."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return kinds[0] if type(None) in get_args(hint) and len(kinds) == 1 else hint
