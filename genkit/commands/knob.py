"""`genkit eval … sweep.sampler.steps=[5,10,20]`: one checkpoint, scored at each value of one knob of its sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from genkit.errors import ConfigError

KNOBS = ("sampler.steps", "guidance.scale", "temperature", "truncation")


@dataclass(frozen=True)
class Knob:
    """A key that changes how a model samples, and the values that it takes in turn."""

    key: str
    values: tuple[float, ...]

    def label(self, value: float) -> str:
        """What rows of a table call a value: "steps=5"."""
        return f"{self.key.partition('.')[2] or self.key}={value:g}"

    def settings_at(self, settings: Mapping[str, Any], value: float) -> dict[str, Any]:
        """The settings of a command line on which the key had this value."""
        changed = deepcopy(dict(settings))
        node, parts = changed, self.key.split(".")
        for part in parts[:-1]:
            node[part] = node = dict(node[part] or {})
        node[parts[-1]] = value
        return changed


def knob_of(settings: Mapping[str, Any], checkpoints: Sequence[str]) -> Knob | None:
    """What sweep.… names, None where nothing is swept.

    Raises:
        ConfigError: two knobs, an empty list, a key that is set as well, or other than one checkpoint.
    """
    chosen = {key: values for key in KNOBS if (values := value_at(settings["sweep"], key)) is not None}
    if not chosen:
        return None
    if len(chosen) > 1:
        raise ConfigError(f"sweep.{' and sweep.'.join(chosen)}: one at a time")
    [(key, values)] = chosen.items()
    if not values:
        raise ConfigError(f"sweep.{key}=[]: give at least one value")
    if len(set(values)) < len(values):
        raise ConfigError(f"sweep.{key}: a value stands there twice")
    if len(checkpoints) != 1:
        raise ConfigError(f"sweep.{key}: it takes one checkpoint, ckpt=…")
    if _typed(key):
        raise ConfigError(f"{key}= and sweep.{key}= cannot both be given")
    return Knob(key, tuple(values))


def _typed(key: str) -> bool:
    """Whether the key stands on this command line; sampler=heun sets sampler.steps too, but means the solver."""
    from genkit.config.hydra_setup import current_job

    return any(word.startswith(f"{key}=") for word in current_job().overrides)


def value_at(node: Any, key: str) -> Any:
    """The value of a dotted key, None where a part of it is missing."""
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node
