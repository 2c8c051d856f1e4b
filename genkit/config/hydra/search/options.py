"""The keys `search.*` of a command line, checked before anything is imported or made."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from genkit.component import NonNegativeInt, PositiveInt
from genkit.config.schema import read
from genkit.errors import ConfigError
from genkit.printing import shown

if TYPE_CHECKING:
    from genkit.config.hydra.search.space import Space

SEARCH = "search"
SWEEPER = "hydra/sweeper"
OPTUNA = "genkit_optuna"
TRIAL = "search.trial"  # in the words of a job, which genkit writes itself
MONITOR = "monitor"
Objective = Literal["monitor", "parameters", "train_seconds", "sampling_seconds"]
LARGEST_GRID = 100_000


@dataclass(frozen=True)
class SearchOptions:
    """The way in which a space is searched.

    Attributes:
        trials: Completed trainings that are asked for, those of earlier commands included.
        sampler: What suggests values.
        pruner: What ends trainings that fall behind, None where all go to their end.
        objectives: What is to become small or large; several make a Pareto set.
        seed: Of the sampler.
        storage: Where the study is; None: a file in the folder of the search.
    """

    trials: PositiveInt = 20
    sampler: Literal["tpe", "random", "cmaes", "grid"] = "tpe"
    pruner: Literal["median", "hyperband"] | None = None
    objectives: tuple[Objective, ...] = ("monitor",)
    seed: NonNegativeInt = 0
    storage: str | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> SearchOptions:
        """The options in a node; raises ConfigError for a value that a key cannot take."""
        hints = typing.get_type_hints(cls, include_extras=True)
        known = {key: value for key, value in config.items() if key in hints}
        if isinstance(known.get("objectives"), str):
            known["objectives"] = [known["objectives"]]
        return cls(**{key: read(value, hints[key], f"{SEARCH}.{key}", _no_object) for key, value in known.items()})

    @property
    def multiple(self) -> bool:
        return len(self.objectives) > 1

    def check(self, space: Space) -> None:
        """Raises ConfigError where these options cannot search this space."""
        if not space.dimensions or space.size == 1:
            raise ConfigError(
                f"{SWEEPER}={OPTUNA}: nothing to search: give a key several values, as in "
                "'optimizer.lr=tag(log,interval(1e-4,1e-1))'"
            )
        for key in space.dimensions:
            if key in ("run_dir", "resume", "debug", "plugins") or key.partition(".")[0] in (SEARCH, "sweep"):
                raise ConfigError(f"{key}: it is of the whole search: give it one value")
        if not self.objectives or len({*self.objectives}) < len(self.objectives):
            raise ConfigError(f"{SEARCH}.objectives: name at least one, and none twice")
        if self.pruner is not None and self.objectives != (MONITOR,):
            raise ConfigError(
                f"{SEARCH}.pruner={self.pruner}: it compares the monitored value alone: leave it out, or set "
                f"{SEARCH}.objectives=[{MONITOR}]"
            )
        if self.sampler == "cmaes":
            self._check_cmaes(space)
        if self.sampler == "grid":
            self._check_grid(space)

    def _check_cmaes(self, space: Space) -> None:
        if self.multiple:
            raise ConfigError(f"{SEARCH}.sampler=cmaes: it has one objective; choose {SEARCH}.sampler=tpe")
        if sum(dimension.is_number for dimension in space.dimensions.values()) < 2:
            raise ConfigError(f"{SEARCH}.sampler=cmaes: it needs two numeric keys; choose {SEARCH}.sampler=tpe")

    def _check_grid(self, space: Space) -> None:
        for key, dimension in space.dimensions.items():
            if dimension.values() is None:
                raise ConfigError(f"{SEARCH}.sampler=grid: {key} is an interval: write choice(a,b) or range(a,b,step)")
        if (space.size or 0) > LARGEST_GRID:
            raise ConfigError(f"{SEARCH}.sampler=grid: {space.size:,} points: choose fewer, or another sampler")


def check_comparable(keys: Iterable[str], monitor: str) -> None:
    """Raises ConfigError where the monitored values of two trials would be of different kinds."""
    strange = [key for key in keys if key in ("model", "data", "experiment")]
    if strange and not monitor.startswith("quick/"):
        raise ConfigError(
            f"{strange[0]}: values of {shown(monitor)} of different {strange[0]} options cannot be compared: "
            "add metric=fid checkpoint.monitor=quick/fid"
        )


def worst(mode: str) -> float:
    """The value of a training that diverged: no other is worse."""
    return math.inf if mode == "min" else -math.inf


def _no_object(value: Any, hint: Any, at: str) -> Any:
    raise ConfigError(f"{at}: {value!r} cannot be used here")
