"""`genkit eval … sweep.sampler.steps=[5,10,20]`: one checkpoint, scored at each value of one knob of its sampling."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genkit.config.hydra.launch import current_job
from genkit.config.sampling_arguments import declared
from genkit.config.settings import EvalSettings
from genkit.errors import ConfigError


@dataclass(frozen=True)
class Knob:
    """A key that changes how a model samples, and the values that it takes in turn."""

    key: str
    values: tuple[float, ...]

    def label(self, value: float) -> str:
        """The name of a value in the rows of a table: "steps=5"."""
        return f"{self.key.partition('.')[2] or self.key}={value:g}"

    def settings_at(self, settings: EvalSettings, value: float) -> EvalSettings:
        """The settings of a command line on which the key had this value."""
        return dataclasses.replace(settings, sampling=with_value(settings.sampling, self.key, value, settings.plugins))


def with_value(sampling: Mapping[str, Any], key: str, value: Any, plugins: Sequence[str] = ()) -> dict[str, Any]:
    """The changes of how a model samples with one more: of a declared key, or of a part of its object."""
    if key in declared(plugins):
        return {**sampling, key: value}
    owner, _, part = key.rpartition(".")
    return {**sampling, owner: {**sampling.get(owner, {}), part: value}}


def knob_of(settings: EvalSettings, checkpoints: Sequence[str]) -> Knob | None:
    """The setting that sweep.… names, None where nothing is swept.

    Raises:
        ConfigError: two knobs, an empty list, a key that is set as well, or other than one checkpoint.
    """
    chosen = settings.sweep
    if not chosen:
        return None
    if len(chosen) > 1:
        raise ConfigError(f"sweep.{' and sweep.'.join(chosen)}: one at a time")
    [(key, values)] = chosen.items()
    if not values:
        raise ConfigError(f"sweep.{key}=[]: give at least one value")
    if len(set(values)) < len(values):
        raise ConfigError(f"sweep.{key}: a value is given twice")
    if len(checkpoints) != 1:
        raise ConfigError(f"sweep.{key}: it takes one checkpoint, ckpt=…")
    if _typed(key):
        raise ConfigError(f"{key}= and sweep.{key}= cannot both be given")
    return Knob(key, tuple(values))


def _typed(key: str) -> bool:
    """Tell whether the command line gives the key itself; sampler=heun sets sampler.steps too, but means the solver."""
    return key in current_job().keys
