"""The content of the configuration folders: primary configurations, groups, options. Reads YAML, imports no torch.

Folders, first found first served, as Hydra has it: genkit's own `conf/` (inside the package in a wheel, beside it in a
checkout), then `--config-dir`, then `hydra.searchpath`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from genkit.config.hydra.words import Words
from genkit.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent.parent.parent
# what `genkit list` calls it -> the configuration group
KINDS = {
    "models": "model",
    "data": "data",
    "metrics": "metric",
    "samplers": "sampler",
    "posteriors": "posterior",
    "translations": "translation",
    "backbones": "backbone",
    "schedules": "schedule",
    "experiments": "experiment",
    "features": "features",
    "optimizers": "optimizer",
    "trainers": "trainer",
    "callbacks": "callbacks",
    "loggers": "logger",
}

SEVERAL = {"submitit": ("submitit_local", "submitit_slurm")}  # plugin of Hydra -> its launchers, where not one
# verbs whose model may be told how to sample, and verbs that apply a checkpoint to examples
DRAWING = ("sample", "eval", "complete", "restore", "translate", "augment", "judge")
USES = ("complete", "restore", "translate", "compress", "detect", "explore")
APPLYING = tuple(dict.fromkeys((*DRAWING, *USES)))
SHARED = {"check": "train"}  # verb -> the verb whose primary configuration it takes
OWN_WORDS = {"log": {"to": "logger"}}  # verb -> what it calls a group by another name


def primary_name(verb: str) -> str:
    """The name of a verb's primary configuration: "train" for `check`, "data_show" for `data show`."""
    return SHARED.get(verb, verb).replace(" ", "_")


def conf_dir() -> Path:
    """genkit's own configuration folder."""
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(f"no configuration folder beside {PACKAGE}: reinstall genkit")


def load_yaml(file: Path) -> dict[str, Any]:
    """A YAML mapping (an empty file is an empty one). Raises ConfigError where the file holds anything else."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where yaml was built with it
    try:
        node = yaml.load(file.read_text(encoding="utf-8"), loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    if node is not None and not isinstance(node, dict):
        raise ConfigError(f"{file}: holds no mapping of keys to values")
    return node or {}


@dataclass(frozen=True)
class Catalog:
    """The folders that one command line sees, and the packages whose models may declare keys of sampling."""

    folders: tuple[Path, ...]
    plugins: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: Words) -> Catalog:
        extra = [Path(words.config_dir)] if words.config_dir is not None else []
        if extra and not extra[0].is_dir():
            raise ConfigError(f"--config-dir: there is no folder {extra[0]}")
        return cls((conf_dir(), *extra, *_search_path(words.overrides)), words.plugins)

    @cached_property
    def groups(self) -> set[str]:
        """Names of all groups: folders that hold YAML files, `metric/suite` included."""
        files = (file.relative_to(folder) for folder in self.folders for file in folder.rglob("*.yaml"))
        return {file.parent.as_posix() for file in files if len(file.parts) > 1}

    def options(self, group: str) -> dict[str, Path]:
        """Option name -> file; an option of a subgroup is named "suite/image".

        A file whose name begins with an underscore is what options of its group begin from, and none itself.
        """
        found: dict[str, Path] = {}
        for folder in self.folders:
            for file in sorted((folder / group).rglob("[!_]*.yaml")):
                found.setdefault(file.relative_to(folder / group).with_suffix("").as_posix(), file)
        return dict(sorted(found.items()))

    def primary_file(self, verb: str) -> Path:
        name = primary_name(verb)
        for folder in self.folders:
            if (folder / f"{name}.yaml").is_file():
                return folder / f"{name}.yaml"
        raise ConfigError(f"no {name}.yaml in {', '.join(map(str, self.folders))}")

    @cached_property
    def _read(self) -> dict[Path, dict[str, Any]]:
        return {}

    def _primary(self, verb: str) -> dict[str, Any]:
        """A primary configuration, read once."""
        file = self.primary_file(verb)
        if file not in self._read:
            self._read[file] = load_yaml(file)
        return self._read[file]

    def defaults(self, verb: str) -> dict[str, Any]:
        """The groups that a verb composes -> the option that it takes unless told otherwise."""
        entries = self._primary(verb).get("defaults", [])
        chosen = {key: value for entry in entries if isinstance(entry, dict) for key, value in entry.items()}
        own = {key.removeprefix("optional "): value for key, value in chosen.items() if "hydra/" not in key}
        return {key: value for key, value in own.items() if not key.startswith("override ")}

    def own_keys(self, verb: str) -> dict[str, Any]:
        """The keys that a primary configuration holds itself, and those that plugins declare, with their values."""
        own = {key: value for key, value in self._primary(verb).items() if key != "defaults"}
        return with_nulls(own, self.plugins_keys(verb))

    def plugins_keys(self, verb: str) -> dict[str, str]:
        """The keys of sampling that plugins declare for a verb, with their descriptions."""
        if not self.plugins or verb not in DRAWING:
            return {}
        from genkit.config.sampling_arguments import foreign_keys, help_of, sweeps

        found = foreign_keys(self.plugins)
        swept = [f"sweep.{key}" for key in sweeps(found)] if "sweep" in self._primary(verb) else []
        return {key: help_of(marks) for key, marks in found.items()} | dict.fromkeys(swept, "a list")

    def shown_by(self, verb: str) -> str:
        """Find what shows all keys of a verb, for the end of a message."""
        own = ", and with plugins=[PACKAGE] those that your own models declare"
        return f"genkit {verb} --help shows them all{own if verb in DRAWING and not self.plugins else ''}"

    def sets(self, file: Path, key: str) -> bool:
        """Tell whether an option's file, or one of the same group that it begins from, sets a dotted key."""
        node = load_yaml(file)
        value: Any = node
        for part in key.split("."):
            value = value.get(part, {}) if isinstance(value, dict) else {}
        if value != {}:
            return True
        bases = [entry for entry in node.get("defaults") or () if isinstance(entry, str) and entry != "_self_"]
        files = [file.with_name(f"{base}.yaml") for base in bases]
        return any(self.sets(base, key) for base in files if base.is_file() and base != file)

    @property
    def launchers(self) -> list[str]:
        """List the values of `hydra/launcher=`: genkit's and Hydra's own, and those of plugins that are installed."""
        from importlib.util import find_spec
        from pkgutil import iter_modules

        plugins = find_spec("hydra_plugins")
        places = list(plugins.submodule_search_locations or ()) if plugins is not None else []
        names = (re.fullmatch(r"hydra_(\w+)_launcher", module.name) for module in iter_modules(places))
        found = (SEVERAL.get(name.group(1), (name.group(1),)) for name in names if name)
        return ["processes", "basic", *sorted(launcher for several in found for launcher in several)]

    def placeholders(self, verb: str) -> dict[str, dict[str, None]]:
        """Null keys of groups that the primary configuration itself holds: `sampler: {steps: null}`."""
        own, groups = self._primary(verb), self.defaults(verb)
        return {key: value for key, value in own.items() if key in groups and isinstance(value, dict)}


def with_nulls(config: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A configuration with null at those of these dotted keys that it lacks."""
    result = dict(config)
    for key in keys:
        top, _, rest = key.partition(".")
        if rest:
            inner = result.get(top)
            result[top] = with_nulls(inner if isinstance(inner, Mapping) else {}, [rest])
        else:
            result.setdefault(top, None)
    return result


def _search_path(overrides: Sequence[str]) -> list[Path]:
    """Folders named by hydra.searchpath=[file://…,pkg://…]; what cannot be found is Hydra's to refuse."""
    values = [word.partition("=")[2] for word in overrides if word.startswith("hydra.searchpath=")]
    places = [place.strip(" '\"") for value in values for place in value.strip("[]").split(",")]
    folders = [_package_folder(p[6:]) if p.startswith("pkg://") else Path(re.sub("^file://", "", p)) for p in places]
    return [folder for folder in folders if folder is not None and folder.is_dir()]


def _package_folder(name: str) -> Path | None:
    from importlib.util import find_spec

    spec = find_spec(name.replace("/", "."))
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
