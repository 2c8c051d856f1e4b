"""The words behind `genkit train`: Hydra's flags and overrides, told apart before Hydra reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from genkit.config.suggestions import did_you_mean
from genkit.errors import ConfigError

# flag -> whether a value follows it
FLAGS = {
    "--help": False, "-h": False, "--hydra-help": False, "--version": False,
    "--cfg": True, "-c": True, "--resolve": False, "--package": True, "-p": True,
    "--run": False, "-r": False, "--multirun": False, "-m": False,
    "--info": False, "-i": False,  # its value is optional
    "--config-path": True, "-cp": True, "--config-name": True, "-cn": True, "--config-dir": True, "-cd": True,
    "--shell-completion": False, "-sc": False, "--experimental-rerun": True,
    "--quoted": False,  # genkit's own: paths are quoted already (a process relaunched by a strategy)
}  # fmt: skip
INFO = ("--info", "-i")
CHOICES = dict.fromkeys(("--cfg", "-c"), ("job", "hydra", "all"))
CHOICES |= dict.fromkeys(INFO, ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"))  # type: ignore[arg-type]
NEGATIVE = re.compile(r"-[\d.].*")
PICKLE_READER = "--experimental-rerun"


@dataclass
class Words:
    """A command line without its verb."""

    flags: dict[str, str] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)  # flags that genkit lacks, which stand in the overrides too
    kept_flags: list[str] = field(default_factory=list)  # in the order of the command line, with their values

    @property
    def multirun(self) -> bool:
        return bool(self.flags.keys() & {"-m", "--multirun"}) or "hydra.mode=MULTIRUN" in self.overrides

    @property
    def debug(self) -> bool:
        return "debug=true" in (word.lower() for word in self.overrides)

    @property
    def config_dir(self) -> str | None:
        return self.flags.get("--config-dir", self.flags.get("-cd"))

    @property
    def plugins(self) -> tuple[str, ...]:
        """The packages of the last `plugins=`."""
        named = [word.partition("=")[2] for word in self.overrides if word.startswith("plugins=")]
        return tuple(filter(None, re.sub(r"[\[\]\s'\"]", "", named[-1]).split(","))) if named else ()

    def argv(self) -> list[str]:
        """Flags, then overrides, as Hydra reads them."""
        return [*self.kept_flags, *self.overrides]


def parse(argv: Sequence[str], lenient: bool = False) -> Words:
    """Raises ConfigError for a flag without its value, and for an unknown flag unless `lenient` keeps it."""
    words, rest = Words(), list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-") or NEGATIVE.fullmatch(word):
            words.overrides.append(word)
            continue
        if lenient and (not _matches(name) or (name == "--config" and not equals)):
            words.foreign.append(word)
            words.overrides.append(word)
            continue
        flag = _full_name(name)
        if equals and not FLAGS[flag] and flag not in INFO:
            raise ConfigError(f"{word}: {flag} takes no value; try: {flag}")
        if FLAGS[flag] and not equals:
            if not rest or rest[0].startswith("-"):
                raise ConfigError(f"{flag} needs a value")
            value = rest.pop(0)
            word = f"{word} {value}"
        elif flag in INFO and not equals and rest and "=" not in rest[0] and not rest[0].startswith("-"):
            value = rest.pop(0)
        if flag in CHOICES and value and value not in CHOICES[flag]:
            if not lenient:
                raise ConfigError(f"{word}: choose one of {', '.join(CHOICES[flag])}")
            words.foreign.append(word)
            words.overrides += [name, value]
            continue
        words.flags[flag] = value
        if flag != "--quoted":
            words.kept_flags += [flag, value] if value else [flag]
    return words


def _matches(name: str) -> list[str]:
    """The flags that a name may stand for: itself, or those that it is a beginning of (four letters or more)."""
    return [flag for flag in FLAGS if flag == name] or [
        flag for flag in FLAGS if name.startswith("--") and len(name) > 4 and flag.startswith(name)
    ]


def _full_name(name: str) -> str:
    """A flag as written or as an unambiguous beginning of a long one."""
    matches = _matches(name)
    if len(matches) != 1:
        raise ConfigError(f"unknown flag {name}{did_you_mean(name, FLAGS)}")
    if matches[0] == PICKLE_READER:
        raise ConfigError(f"{PICKLE_READER} reads a pickle, which can run code; genkit has no such files")
    return matches[0]
