"""From a configuration node to an object: allow-listed, validated, with one line for every mistake.

A node is a plain mapping, `_target_` plus the constructor's own argument names (`OmegaConf.to_container(...,
resolve=True)`, or JSON from a checkpoint):

    {"_target_": "genkit.models.vae.vae.VAE", "latent_dim": 16, "backbone": {"_target_": ...}}

It is read in two passes. The first makes a `Plan`: every class resolved, every argument checked against the
annotations of the constructor, down the whole tree, and nothing constructed. The second constructs. `check` is the
first alone, so that a mistake anywhere costs nothing.

An argument annotated `Callable[..., T]`, or with a protocol that has `__call__` (`BackboneFactory`), receives a
function that the model finishes with what only it knows (`in_shape=…`).
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_origin

from genkit.component import Component
from genkit.config.resolve import FOREIGN, resolve
from genkit.config.schema import describe, is_node, read
from genkit.config.suggestions import did_you_mean, listing
from genkit.errors import ConfigError
from genkit.printing import one_line

T = TypeVar("T")
MAX_DEPTH = 32


def build(
    node: Any,
    *,
    at: str,
    expect: type[T] = Component,  # type: ignore[assignment]
    plugins: Sequence[str] = (),
    trusted: bool = True,
    after: Mapping[str, Callable[[Any], object]] = MappingProxyType({}),
    **given: Any,
) -> T:
    """The object that `node` describes.

    Args:
        node: The plain mapping.
        at: Its key in the configuration, with which every message starts.
        expect: What it must be an instance of.
        plugins: Packages that the user allowed besides genkit; never taken from a checkpoint.
        trusted: False for a configuration read from a checkpoint: literals and `Component` classes only.
        after: Argument that is a factory -> what is done to each object that it makes.
        given: Arguments that the code gives (`spec=`); those that the constructor does not take are left out, and a
            configuration cannot set them.

    Raises:
        ConfigError: unknown target or argument, missing argument, wrong type, outside the declared range.
    """
    plan = plan_of(node, at=at, expect=expect, plugins=plugins, trusted=trusted, gives=tuple(given))
    arguments = {
        name: replace(value, after=after.get(name)) if isinstance(value, Later) else value
        for name, value in plan.arguments.items()
    }
    return replace(plan, arguments=arguments).make_with(**given)


def plan_of(
    node: Any,
    *,
    at: str,
    expect: type = Component,
    plugins: Sequence[str] = (),
    trusted: bool = True,
    gives: Sequence[str] | None = (),
) -> Plan:
    """`build` without building: the checked plan, which makes a new object each time; raises the same errors.

    `gives` names the arguments that the code will give, None for any.
    """
    return Reader(tuple(plugins), trusted).plan(node, at, expect, None if gives is None else tuple(gives))


def check(
    node: Any,
    *,
    at: str,
    expect: type = Component,
    plugins: Sequence[str] = (),
    trusted: bool = True,
    gives: Sequence[str] | None = (),
) -> type:
    """The class of `plan_of`."""
    return plan_of(node, at=at, expect=expect, plugins=plugins, trusted=trusted, gives=gives).cls


def build_factory(
    node: Any,
    *,
    at: str,
    expect: type = object,
    plugins: Sequence[str] = (),
    trusted: bool = True,
    gives: Sequence[str] | None = None,
    listed: Collection[str] = (),
) -> Callable[..., Any]:
    """A function that makes the object when called with what the configuration cannot say: `optimizer(params)`.

    `gives` names those arguments, in positional order; by default those that genkit gives to the listed torch and
    lightning classes, or any. `listed` names those of them that an untrusted node may hold. Every call makes a new
    object.
    """
    reader = Reader(tuple(plugins), trusted, frozenset(listed))
    plan = reader.plan(node, at, expect, None if gives is None else tuple(gives))
    return functools.partial(plan.make)


@dataclass(frozen=True)
class Plan:
    """A class and its checked arguments, which may hold further plans. Nothing is constructed yet."""

    cls: type
    arguments: dict[str, Any]
    at: str

    def make_with(self, **given: Any) -> Any:
        """`make` with those of the given arguments that the class takes."""
        taken = parameters(self.cls)
        return self.make(**{name: value for name, value in given.items() if name in taken})

    def make(self, *args: Any, **given: Any) -> Any:
        """A new object."""
        arguments = {name: construct(value) for name, value in self.arguments.items()}
        try:
            return self.cls(*args, **arguments, **given)
        except (ValueError, TypeError) as error:
            if issubclass(self.cls, Component):
                raise
            # foreign classes check their ranges themselves
            key = self._culprit(arguments, args, given)
            at = self.at if key is None else f"{self.at}.{key}={arguments[key]}"
            raise ConfigError(f"{at}: {self.cls.__name__}: {one_line(str(error), 200)}") from error

    def _culprit(self, arguments: Mapping[str, Any], args: tuple[Any, ...], given: Mapping[str, Any]) -> str | None:
        """The one argument without which the class can be made."""
        for name in arguments:
            try:
                self.cls(*args, **{other: value for other, value in arguments.items() if other != name}, **given)
            except Exception:
                continue
            return name
        return None


@dataclass(frozen=True)
class Later:
    """A plan whose object the owner of the argument makes."""

    plan: Plan
    after: Callable[[Any], object] | None = None  # what is done to each object

    def make(self, *args: Any, **given: Any) -> Any:
        """A new object."""
        made = self.plan.make(*args, **given)
        if self.after is not None:
            self.after(made)
        return made


def construct(value: Any) -> Any:
    """A checked argument with the plans in it carried out."""
    match value:
        case Plan():
            return value.make()
        case Later():
            return functools.partial(value.make)
        case list() | tuple():
            return type(value)(construct(item) for item in value)
        case dict():
            return {key: construct(item) for key, item in value.items()}
        case _:
            return value


def parameters(cls: type) -> dict[str, inspect.Parameter]:
    """The named parameters of a constructor, without `self`, `*args` and `**kwargs`."""
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return {}
    named = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    return {p.name: p for p in named if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


@functools.lru_cache(maxsize=512)
def schema_of(cls: type) -> Mapping[str, Any]:
    """The resolved annotations of a constructor, `Annotated` kept.

    A foreign class whose annotations name what exists only for type checkers has none: its arguments are then checked
    by name alone.
    """
    try:
        return MappingProxyType(typing.get_type_hints(cls.__init__, include_extras=True))  # type: ignore[misc]
    except NameError:
        if issubclass(cls, Component):
            raise
        return MappingProxyType({})


def instead_of(expect: type, at: str) -> str:
    """The end of a refusal: what to type for an object of the class, ": choose sampler=langevin or sampler=mala"."""
    from genkit.config.hydra.catalog import Catalog, load_yaml
    from genkit.config.hydra.words import Words

    group = at.rsplit(".", 1)[-1]
    fit = []
    for name, file in Catalog.of(Words()).options(group).items():
        target = str(load_yaml(file).get("_target_"))
        if target.startswith("genkit.") and issubclass(resolve(target, at=at), expect):
            fit.append(f"{group}={name}")
    return f": choose {' or '.join(fit)}" if fit else ""


@dataclass(frozen=True)
class Reader:
    """Reads nodes under one set of permissions."""

    plugins: tuple[str, ...]
    trusted: bool
    listed: frozenset[str] = frozenset()

    def plan(self, node: Any, at: str, expect: Any, gives: tuple[str, ...] | None = ()) -> Plan:
        """`gives`: arguments that the configuration must not set and may lack; None: any may be lacking."""
        if not is_node(node):
            shown = "null" if node is None else repr(node)
            raise ConfigError(f"{at}: {shown[:80]} describes no object; it needs a _target_ (choose an option: {at}=…)")
        if not self.trusted:
            refuse_interpolations(node, at)
        cls = resolve(node["_target_"], at=at, plugins=self.plugins, trusted=self.trusted, listed=self.listed)
        if isinstance(expect, type) and not is_protocol(expect) and not issubclass(cls, expect):
            raise ConfigError(f"{at}: {cls.__name__} is no {expect.__name__}{instead_of(expect, at)}")
        if not gives:
            gives = FOREIGN.get(node["_target_"], gives)
        values = {name: value for name, value in node.items() if name != "_target_"}
        return Plan(cls, self.arguments(cls, values, at, gives), at)

    def arguments(self, cls: type, values: Mapping[str, Any], at: str, gives: tuple[str, ...] | None) -> dict[str, Any]:
        known, hints = parameters(cls), schema_of(cls)
        own = [name for name in known if name not in (gives or ())]
        for name in values:
            if name not in own:
                raise ConfigError(_unknown(cls, str(name), own, at, given=name in known))
        for name in own:
            if name not in values and known[name].default is inspect.Parameter.empty and gives is not None:
                raise ConfigError(f"{at}.{name}: missing; {cls.__name__} needs {describe(hints.get(name, Any))}")
        return {name: read(value, hints.get(name, Any), f"{at}.{name}", self.nested) for name, value in values.items()}

    def nested(self, value: Any, hint: Any, at: str) -> Plan | Later:
        """A node inside a node: an object, or a factory where the annotation asks for one."""
        if get_origin(hint) is collections.abc.Callable:
            _, result = get_args(hint)
            return Later(self.plan(value, at, result, None))
        if is_protocol(hint) and "__call__" in vars(hint):
            result = typing.get_type_hints(hint.__call__).get("return", Any)
            gives = tuple(list(inspect.signature(hint.__call__).parameters)[1:])
            plan = self.plan(value, at, result, gives)
            if lacking := [name for name in gives if name not in parameters(plan.cls)]:
                raise ConfigError(
                    f"{at}: {plan.cls.__name__} does not take {', '.join(lacking)}, so it cannot serve here"
                )
            return Later(plan)
        return self.plan(value, at, hint)


def _unknown(cls: type, name: str, own: Sequence[str], at: str, *, given: bool) -> str:
    if given:
        return f"{at}.{name}: this argument of {cls.__name__} is given by genkit and cannot be configured"
    near = did_you_mean(f"{at}.{name}", [f"{at}.{other}" for other in own])
    return f"{at}.{name}: {cls.__name__} has no such argument{near or '; it has ' + (listing(own) or 'none')}"


def is_protocol(hint: Any) -> bool:
    return isinstance(hint, type) and bool(getattr(hint, "_is_protocol", False))


def refuse_interpolations(value: Any, at: str, depth: int = 0) -> None:
    """A checkpoint's configuration is shallow and literal: `${oc.env:…}` in it would read the user's environment."""
    if depth > MAX_DEPTH:
        raise ConfigError(f"{at[:60]}…: nested more than {MAX_DEPTH} deep")
    if isinstance(value, str) and "${" in value:
        raise ConfigError(f"{at}: a checkpoint's configuration may hold no interpolation (${{…}})")
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in children:
        refuse_interpolations(item, f"{at}.{key}", depth + 1)
