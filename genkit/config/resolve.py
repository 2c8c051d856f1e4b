"""From the `_target_` of a configuration node to a class, by allow-list.

A configuration is text, possibly from an untrusted checkpoint, so it may name only

* a class derived from `Component` and defined at the top level of a module of genkit's own packages, looked up in the
  module's source before anything is imported;
* for a trusted configuration, one of the listed torch and lightning classes; from a checkpoint, one of those that the
  caller lists (an optimizer of torch's);
* a class of a package that the user listed in `plugins=[…]`; from a checkpoint, only if it derives from `Component` and
  the very modules that the user named, once imported, define or export it: nothing else is imported for its sake.

A class that moved is found by its earlier names too (see `genkit.config.names`): the present one is what is checked.

A name is never walked attribute by attribute, so `genkit.cli.os.system` is no name of anything.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from genkit.component import Component, NonNegativeFloat, Probability
from genkit.config.names import current
from genkit.config.suggestions import did_you_mean, listing
from genkit.errors import ConfigError, GenkitError

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "data",
    "diffusion",
    "features",
    "flows",
    "inverse",
    "loggers",
    "metrics",
    "models",
    "nn",
    "training",
    "translation",
)

# class -> the arguments that genkit gives it, which a configuration therefore cannot
OPTIMIZERS = {
    f"torch.optim.{name}": ("params",)
    for name in ("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Muon", "NAdam", "RAdam", "RMSprop", "SGD")
}
SCHEDULERS = {
    f"torch.optim.lr_scheduler.{name}": ("optimizer",)
    for name in ("ConstantLR", "CosineAnnealingLR", "ExponentialLR", "LinearLR", "OneCycleLR", "StepLR")
}
STRATEGIES: dict[str, tuple[str, ...]] = {
    f"lightning.pytorch.strategies.{name}": () for name in ("DDPStrategy", "FSDPStrategy", "SingleDeviceStrategy")
}
# what torch's optimizers check inside, said beforehand with the name of the key
OPTIMIZER_RANGES: dict[str, Any] = {
    "lr": NonNegativeFloat,
    "betas": tuple[Probability, Probability],
    **dict.fromkeys(("alpha", "eps", "lr_decay", "momentum", "momentum_decay", "weight_decay"), NonNegativeFloat),
}
FOREIGN: dict[str, tuple[str, ...]] = OPTIMIZERS | SCHEDULERS | STRATEGIES


def ranges_of(target: object) -> dict[str, Any]:
    """Annotations, with ranges, of arguments of a listed foreign class that its constructor declares more widely."""
    return OPTIMIZER_RANGES if target in OPTIMIZERS else {}


def resolve(
    target: object, *, at: str, plugins: Sequence[str] = (), trusted: bool = True, listed: Collection[str] = ()
) -> type:
    """The class that `target` names.

    Args:
        target: Its dotted name, or an earlier one.
        at: The key of its node, with which a message starts.
        plugins: Packages that the user allowed.
        trusted: False for a configuration that the user did not type.
        listed: Names from FOREIGN that such a configuration may hold all the same.

    Raises:
        ConfigError: it names nothing that a configuration may name; the message starts with `at`.
    """
    if not isinstance(target, str) or not all(part.isidentifier() for part in target.split(".")):
        raise ConfigError(f"{at}._target_: {target!r} is no dotted name of a class")
    target = str(current(target))
    module, _, name = target.rpartition(".")
    if module.partition(".")[0] == "genkit":
        found = _own(module, name, at)
    elif target in (FOREIGN if trusted else listed):
        found = vars(importlib.import_module(module)).get(name)
    elif any(module == plugin or module.startswith(plugin + ".") for plugin in plugins):
        found = _outside(module, name, at, plugins, trusted)
    else:
        raise ConfigError(_refusal(target, at, trusted))
    if not isinstance(found, type):
        raise ConfigError(f"{at}._target_: {target} is no class")
    if inspect.isabstract(found):
        raise ConfigError(f"{at}._target_: {target} is abstract; name one of its subclasses")
    return found


def _refusal(target: str, at: str, trusted: bool) -> str:
    line = f"{at}._target_: {target} may not be named by a configuration"
    package = target.partition(".")[0]
    if package in sys.stdlib_module_names:
        return line
    if not trusted:
        return f"{line} of a checkpoint; if {package} is your own package, add plugins=[{package}]"
    hint = did_you_mean(target, FOREIGN)
    return line + (hint or f"; a package of your own is allowed with plugins=[{package}]")


def _own(module: str, name: str, at: str) -> object:
    """A class of genkit, found in the source first: a module is imported only if it really defines the class."""
    parts = module.split(".")[1:]
    file = ROOT.joinpath(*parts).with_suffix(".py")
    if not parts or parts[0] not in PACKAGES or not file.is_file():
        near = did_you_mean(module, (dotted(file) for file in _own_files()))
        raise ConfigError(f"{at}._target_: {module} is no module of genkit that a configuration may name{near}")
    names = classes_in(file)
    if name not in names:
        near = did_you_mean(name, names)
        raise ConfigError(f"{at}._target_: {module} defines no class {name} (it has {listing(names)}){near}")
    found = vars(importlib.import_module(module)).get(name)
    if not (isinstance(found, type) and issubclass(found, Component) and found.__module__ == module):
        raise ConfigError(f"{at}._target_: {module}.{name} is no Component, so no configuration may name it")
    return found


def _outside(module: str, name: str, at: str, plugins: Sequence[str], trusted: bool) -> object:
    """A class of a plugin package."""
    names = vars(import_plugin(module) if trusted else _named_module(module, name, at, plugins))
    if name not in names:
        classes = [key for key, value in names.items() if isinstance(value, type)]
        raise ConfigError(f"{at}._target_: {module} has no class {name}{did_you_mean(name, classes)}")
    found = names[name]
    derived = isinstance(found, type) and issubclass(found, Component)
    home = getattr(found, "__module__", "")
    defined = trusted and any(home == plugin or home.startswith(plugin + ".") for plugin in plugins)
    if not derived and not defined:
        raise ConfigError(f"{at}._target_: {module}.{name} does not derive from genkit.component.Component")
    return found


def _named_module(module: str, name: str, at: str, plugins: Sequence[str]) -> ModuleType:
    """A module that is a plugin of the user's, or that one of them has imported: a checkpoint has none imported."""
    for plugin in plugins:
        import_plugin(plugin)
    if module not in plugins and module not in sys.modules:
        raise ConfigError(
            f"{at}._target_: {module}.{name} is in a module that plugins=[{','.join(plugins)}] does not import, and "
            f"a checkpoint has none imported; if it is yours, add plugins=[{module}]"
        )
    return sys.modules[module]


def import_plugin(name: str) -> ModuleType:
    """Import a module that the user named; the working directory is searched last.

    Raises:
        ConfigError: it does not exist or fails to import.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(name)
    except GenkitError as error:  # it says itself what is wrong
        raise ConfigError(f"plugins: {name}: {error}") from error
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(f"plugins: cannot import {name} ({text}); is its folder on PYTHONPATH?") from error


def _own_files() -> list[Path]:
    return [file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if file.name != "__init__.py"]


def dotted(file: Path) -> str:
    """genkit/models/vae/vae.py -> genkit.models.vae.vae"""
    return ".".join(file.relative_to(ROOT.parent).with_suffix("").parts)


@lru_cache(maxsize=256)
def classes_in(file: Path) -> tuple[str, ...]:
    """Names of the classes at the top level of a source file, without importing it; a file is read once."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return tuple(node.name for node in tree.body if isinstance(node, ast.ClassDef))
