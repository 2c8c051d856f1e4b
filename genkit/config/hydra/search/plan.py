"""A search that was checked, before anything of it is made: what is searched, by what, and what counts.

The ends of every interval and every option of a choice are composed once, so a value that cannot be is refused before
the first training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from genkit.config.dotted_keys import lookup
from genkit.config.hydra.explanation import key_of
from genkit.config.hydra.search.objectives import Mode, added_words, check_monitored, modes_of
from genkit.config.hydra.search.options import MONITOR, SEARCH, SearchOptions, check_comparable
from genkit.config.hydra.search.space import Space, Value, words_of
from genkit.config.hydra.search.storage import require_cmaes
from genkit.config.settings import Settings

PROBED = 16  # points at which a space is checked
LEFT_OUT = ("sweep.jobs", "hydra/launcher", "hydra/sweeper")  # words that no trial is started with
Prepare = Callable[[Sequence[str]], Settings]  # overrides to checked settings


@dataclass(frozen=True)
class SearchPlan:
    """The search of a command.

    Attributes:
        space: The keys and their values.
        words: The overrides that all trials have.
        options: How it is searched.
        settings: Those of the first point of the space.
        modes: Which way each objective is better.
    """

    space: Space
    words: tuple[str, ...]
    options: SearchOptions
    settings: Settings
    modes: tuple[Mode, ...]

    @property
    def trials(self) -> int:
        """The number that is to be complete: of a grid no more than there are points."""
        asked = self.options.trials
        return min(asked, self.space.size or asked) if self.options.sampler == "grid" else asked

    @property
    def monitor(self) -> str:
        return str(lookup(self.settings.config, "checkpoint.monitor"))

    @property
    def mode(self) -> Mode:
        """The direction in which the monitored value is better."""
        return modes_of(self.settings.config, [MONITOR])[0]

    @property
    def steps(self) -> tuple[int, int]:
        """The steps of the first monitored validation, and of a whole training."""
        config = self.settings.config
        quick = lookup(config, "quick.every_n_steps") if self.monitor.startswith("quick/") else None
        return int(quick or lookup(config, "trainer.val_every_n_steps")), int(lookup(config, "trainer.max_steps"))

    def about(self, identity: Mapping[str, Any], schema: str) -> dict[str, Any]:
        """The record that a study keeps of its search, and is compared by."""
        return {
            "schema": schema,
            "space": self.space.record(),
            "objectives": list(self.options.objectives),
            "modes": list(self.modes),
            "identity": dict(identity),
        }

    def words_at(self, point: Mapping[str, Value]) -> list[str]:
        """The overrides of a trial."""
        return [*self.words, *words_of(point)]


def plan_of(
    space: Space, typed: Sequence[str], first: Settings, options: SearchOptions, prepare: Prepare
) -> SearchPlan:
    """Check a search.

    Args:
        space: What is searched.
        typed: The overrides that are of no dimension.
        first: The settings of its first point.
        options: How it is searched.
        prepare: Composes and checks.

    Raises:
        ConfigError: a value cannot be, no training would have the objective, or the options do not fit the space.
    """
    options.check(space)
    if options.sampler == "cmaes":
        require_cmaes()
    words = [word for word in typed if key_of(word) not in LEFT_OUT and key_of(word).partition(".")[0] != SEARCH]
    added = added_words(first.config, options.objectives)
    words += added
    points = list(islice(space.probes(), PROBED))
    settings = prepare([*words, *words_of(points[0])]) if added else first
    for point in points[1:]:
        prepare([*words, *words_of(point)])
    check_monitored(settings.config, options.objectives)
    modes = tuple(modes_of(settings.config, options.objectives))
    plan = SearchPlan(space, tuple(words), options, settings, modes)
    if MONITOR in options.objectives:
        check_comparable(space.dimensions, plan.monitor)
    if added:
        print(f"genkit: {' '.join(added)}, since no validation loss of this model says which training is best")
    return plan
