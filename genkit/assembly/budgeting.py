"""A training with a budget of time: plan it from a trial, keep it to the plan, record what was decided.

The budget is that of the whole command, from its start to its end. It decides what depends on the length of a training
and was not typed: steps, warm-up, and what is done how often. The learning rate and the average follow the steps.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from genkit.assembly.continuation import recorded
from genkit.assembly.recorded_plan import costs_of, pace_of, with_decided, with_pace
from genkit.assembly.resume_checks import MAX_STEPS
from genkit.assembly.run import PartBuilder, Parts
from genkit.assembly.run_history import config_text, history_of
from genkit.assembly.trial import measured
from genkit.checkpoint.run_folder import RunFolder
from genkit.config.budget import KEY, Budget
from genkit.config.dotted_keys import lookup
from genkit.config.hydra.launch import current_job
from genkit.config.settings import RunSettings
from genkit.errors import ConfigError, GenkitError
from genkit.ranks import from_first
from genkit.stopwatch import Stopwatch
from genkit.training.budget_clock import BudgetClock
from genkit.training.callbacks.budget_keeper import BudgetKeeper, BudgetPlan
from genkit.training.lr_schedule import LRSchedule
from genkit.training.options import CheckpointOptions, SampleGridOptions, TrainerOptions
from genkit.training.pace import Pace
from genkit.training.plan import Costs, Intervals, TrainingPlan, plan_for

TRIAL = 0.02  # share of the budget in which steps are timed
SHORTEST, LONGEST = 0.05, 5.0  # seconds in which they are
EVERY = {
    "validation": "trainer.val_every_n_steps",
    "score": "quick.every_n_steps",
    "picture": "samples.every_n_steps",
    "checkpoint": "checkpoint.every_n_steps",
}
WARM_UP, HOLD = "lr_schedule.warmup_steps", "lr_schedule.hold"
LOG = "trainer.log_every_n_steps"
LONGEST_HOLD = 0.9  # some of the steps are for the fall


def budget_of(config: Mapping[str, Any]) -> Budget | None:
    """The budget of a configuration, None where it has none."""
    return None if config.get(KEY) is None else Budget.of(config[KEY])


def refuse_both() -> None:
    """Raise ConfigError where the command line names the number of steps beside a budget."""
    if MAX_STEPS in current_job().keys:
        raise ConfigError(f"{KEY}= and {MAX_STEPS}= both say how long: give one of them")


def clock_of(budget: Budget, stopwatch: Stopwatch, info: Mapping[str, Any] | None = None) -> BudgetClock:
    """The clock of a budget, which goes on from what run.json says of earlier commands."""
    found = (info or {}).get(KEY)
    before = found.get("spent") if isinstance(found, Mapping) else None
    known = float(before) if isinstance(before, int | float) and before >= 0 else 0.0
    return BudgetClock(stopwatch, budget.clock == "cpu", known)


def planned(parts: Parts, settings: RunSettings, budget: Budget, clock: BudgetClock) -> tuple[RunSettings, Parts]:
    """The settings and parts of a run that is to end with its budget, from a trial of it.

    Raises:
        ConfigError: the budget does not suffice for a step and one of everything.
    """
    if budget.seconds <= clock.spent():
        raise _too_short(budget, clock.spent(), 0.0)
    costs, again = _tried(parts, settings, budget, clock)
    return planned_from(parts, settings, budget, costs, clock.spent(), again)


def planned_from(
    parts: Parts, settings: RunSettings, budget: Budget, costs: Costs, spent: float, again: float = 0.0
) -> tuple[RunSettings, Parts]:
    """The settings and parts of a run that is to end with its budget.

    Args:
        parts, settings: Without it.
        budget: What there is.
        costs: As measured.
        spent: Seconds that are gone.
        again: Seconds that the run begins with before its first step.

    Raises:
        ConfigError: as `planned`.
    """
    decided = from_first(lambda: _decided(parts, settings, budget.seconds - spent - again, costs))
    if decided is None:
        raise _too_short(budget, spent, costs.least + again)
    steps = decided[MAX_STEPS]
    config = with_decided(
        settings.config, decided, steps=steps, corrections=[], costs={k: round(v, 9) for k, v in vars(costs).items()}
    )
    now = RunSettings.of(config)
    return now, replanned(parts, now)


def _tried(parts: Parts, settings: RunSettings, budget: Budget, clock: BudgetClock) -> tuple[Costs, float]:
    seconds = min(LONGEST, max(SHORTEST, TRIAL * budget.seconds))
    alone = replace(parts, module=copy.deepcopy(parts.module), callbacks=[])
    with tempfile.TemporaryDirectory(prefix="genkit-trial-") as scratch:
        costs, first = measured(alone, settings, Path(scratch), seconds, clock.here)
    again = first if parts.trainer.compile else 0.0  # the networks of the run are compiled too
    return from_first(lambda: (costs, again))


def _decided(parts: Parts, settings: RunSettings, seconds: float, costs: Costs) -> dict[str, Any] | None:
    """The values that the budget decides, by key, without those that were typed; None where it is too short."""
    if seconds < costs.least:
        return None
    plan = plan_for(
        seconds,
        costs,
        recipe=parts.trainer.max_steps,
        warmup=parts.module.lr_schedule.warmup_steps,
        log=parts.trainer.log_every_n_steps,
        phases=len(parts.module.model.phases),
        pictures=parts.samples.every_n_steps > 0,
        often=parts.trainer.val_every_n_steps,
    )
    typed = current_job().keys
    values = {key: value for key, value in _values(plan, parts).items() if key not in typed}
    if EVERY["validation"] in typed and EVERY["score"] in values:
        values[EVERY["score"]] = None  # a multiple of what was typed
    return {key: value for key, value in values.items() if lookup(settings.config, key) is not None or value != 0}


def _values(plan: TrainingPlan, parts: Parts) -> dict[str, Any]:
    values: dict[str, Any] = {MAX_STEPS: plan.steps, WARM_UP: plan.warmup, LOG: plan.log}
    own = parts.module.lr_schedule.hold
    if own is not None:
        values[HOLD] = max(own, round(min(plan.hold, LONGEST_HOLD), 3))
    values |= {key: getattr(plan.every, name) for name, key in EVERY.items()}
    if parts.quick is None:
        del values[EVERY["score"]]
    return values


def _too_short(budget: Budget, spent: float, least: float) -> ConfigError:
    more = f", and one step with a validation, a picture and a checkpoint takes {budget.shown(least)}" if least else ""
    enough = budget.typed(1.5 * (spent + least) + 1)
    return ConfigError(
        f"{KEY}: {budget.shown(budget.seconds)} are too short: beginning took {budget.shown(spent)}{more}: "
        f"try {KEY}={enough}"
    )


def replanned(parts: Parts, settings: RunSettings) -> Parts:
    """The parts of a run whose length and intervals are others than those that they were built for."""
    make = PartBuilder(settings, tuple(settings.plugins), True, frozenset())
    parts.module.lr_schedule, parts.module.pace = make("lr_schedule", LRSchedule), _pace(settings.config)
    every = lookup(settings.config, EVERY["score"])
    quick = parts.quick
    if quick is not None:
        quick = replace(quick, options=replace(quick.options, every_n_steps=every))
    return replace(
        parts,
        trainer=make("trainer", TrainerOptions),
        checkpoint=make("checkpoint", CheckpointOptions),
        samples=make("samples", SampleGridOptions),
        quick=quick,
        validates_last=True,
    )


def _pace(config: Mapping[str, Any]) -> Pace:
    pace = pace_of(config)
    assert pace is not None
    return pace


def every_of(parts: Parts) -> Intervals:
    """The steps between things, as a run has them."""
    between = parts.trainer.val_every_n_steps
    scores = None if parts.quick is None else parts.quick.options.every_n_steps
    return Intervals(between, scores or between, parts.samples.every_n_steps, parts.checkpoint.every_n_steps)


def line_of(plan: Parts, budget: Budget, spent: float) -> str:
    """ "budget: 7,410 steps in the 114.2 s that are left, a validation every 247 steps" """
    left, every = budget.shown(budget.seconds - spent), plan.trainer.val_every_n_steps
    return f"budget: {plan.trainer.max_steps:,} steps in the {left} that are left, a validation every {every:,}"


class Bookkeeper:
    """Keeps the record of a budgeted run: in run.json what was spent, in configurations what was decided.

    Arguments:
        folder: Of the run.
        clock: Of its budget.
        config: The config.json of its checkpoints, which changes with what is decided.
        settings: Of the command.
    """

    def __init__(self, folder: RunFolder, clock: BudgetClock, config: dict[str, Any], settings: RunSettings) -> None:
        budget = budget_of(settings.config)
        assert budget is not None
        self.folder, self.budget, self.clock, self.config, self.settings = folder, budget, clock, config, settings
        self._others = 0.0  # seconds of other processes beyond what this one says of all

    @property
    def pace(self) -> Pace:
        return _pace(self.config["train"])

    def keeper(self, parts: Parts, console: Console) -> BudgetKeeper:
        """Make what corrects the training."""
        plan = BudgetPlan(self.budget.seconds, self.clock, costs_of(self.config["train"]), every_of(parts))

        def say(line: str) -> None:
            console.print(line, style="dim", soft_wrap=True, highlight=False)

        return BudgetKeeper(plan, note=self.note, say=say, tell=self.tell, words=self.budget.shown)

    def note(self, pace: Pace, spent: float) -> None:
        """Record a correction: the next checkpoint has it."""
        self.config["train"] = with_pace(self.config["train"], pace)
        now = {**self.settings.config, **self.config["train"]}
        self.folder.write_config(config_text(now, history_of(self.folder.info)))
        self.tell(spent)

    def tell(self, spent: float) -> None:
        """Record what was spent."""
        self.folder.update(**self._fields(spent))

    def fields(self, together: bool) -> dict[str, Any]:
        """The fields of run.json at the end of the command, where all processes may have come together."""
        spent = self.clock.spent() if together else self.clock.here()
        self._others = spent - self.clock.here()
        return self._fields(spent)

    def line(self) -> str:
        """ "budget: 118.7 s of 120.0 s spent" """
        now = self.clock.here() + self._others
        return f"budget: {self.budget.shown(now)} of {self.budget.shown(self.budget.seconds)} spent"

    def _fields(self, spent: float) -> dict[str, Any]:
        corrections = [[each.step, each.steps] for each in self.pace.corrections]
        about = {"seconds": self.budget.seconds, "clock": self.budget.clock, "spent": round(spent, 3)}
        return {KEY: about | {"planned_steps": self.pace.planned, "corrections": corrections}}


def with_later_corrections(config: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """The configuration of a checkpoint with what was decided after it, as far as config.yaml tells.

    A run that was killed then goes on as it did before: what was decided stays decided.
    """
    known = pace_of(config)
    if known is None:
        return dict(config)
    with suppress(GenkitError):  # config.yaml may be gone
        later = pace_of(recorded(run, None))
        if (
            later is not None
            and later.planned == known.planned
            and later.corrections[: len(known.corrections)] == known.corrections
        ):
            return with_pace(config, later)
    return dict(config)


def taken_further(config: Mapping[str, Any], base: Mapping[str, Any], done: int) -> dict[str, Any]:
    """The configuration of a resumed run; one that had ended and is given more time gets steps in proportion."""
    before, now = budget_of(base), budget_of(config)
    if before is None or now is None or now.seconds <= before.seconds or done < lookup(base, MAX_STEPS):
        return dict(config)
    steps = round(done * now.seconds / before.seconds)
    return with_pace(config, replace(_pace(config), planned=max(done + 1, steps), corrections=()))
