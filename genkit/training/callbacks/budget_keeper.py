"""Keep a training to its budget: see how long everything takes, and correct the number of steps where it must be.

A plan made from a few measured steps is wrong as soon as the machine has other work. At a hundred points of the run the
time that the rest would take, at the speed of the last fifth of the budget, is held against the time that is left.
Where the two part, the training gets another length: a recorded correction, see `genkit.training.pace`. Its end is
then that of the budget, and what was trained stays a function of what is recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import lightning.pytorch as pl

from genkit.ranks import from_first
from genkit.training.budget_clock import BudgetClock
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule
from genkit.training.pace import Pace
from genkit.training.plan import SLACK, Costs, Intervals, on_validation, scaled, steps_for

CHECKS = 100  # of a run
LEAST, WINDOW = 0.05, 0.2  # shares of the budget in which the present speed is measured
TOLERANCE, EARLY = 0.02, 0.1  # what the end may be off: a share of the budget, and more by one of what is left of it
STRANGEST = 5.0  # events take at most this many times longer, or shorter, than measured


@dataclass(frozen=True)
class BudgetPlan:
    """The budget of a training, and the measurements that its length is computed from.

    Attributes:
        seconds: The budget.
        clock: What it is measured by.
        costs: Of the parts of the training, as measured before it.
        every: Steps between validations, pictures, …
    """

    seconds: float
    clock: BudgetClock
    costs: Costs
    every: Intervals


class ClockReading(NamedTuple):
    """The clock at a step: steps done, seconds spent, and those of them that were no steps."""

    step: int
    spent: float
    events: float


class BudgetKeeper(StepCallback):
    """Corrects the number of steps. It stands first among the callbacks, `EventEnd` last.

    Arguments:
        plan: What to keep to.
        note: Called with the pace as it is corrected and the seconds spent, to record it.
        say: Called with a line for the user.
        tell: Called with the seconds spent after each validation.
        words: Seconds in words.
    """

    def __init__(
        self,
        plan: BudgetPlan,
        *,
        note: Callable[[Pace, float], None],
        say: Callable[[str], None],
        tell: Callable[[float], None],
        words: Callable[[float], str],
    ) -> None:
        self.plan, self.note, self.say, self.tell, self.words = plan, note, say, tell, words
        self.readings: deque[ClockReading] = deque()
        self.events = 0.0  # seconds of validations, pictures and checkpoints in this command
        self.start = self.next = 0
        self._since: float | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self.start = trainer.global_step
        self.next = self.start + self._between(pl_module.pace)

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        step, every = trainer.global_step, self.plan.every
        if step >= self.next and not module.pace.after(step - 1):  # else this was decided before it was trained again
            self.next = step + self._between(module.pace)
            self.check(trainer, module)
        if (every.picture and step % every.picture == 0) or step % every.checkpoint == 0:
            self._since = self.plan.clock.here()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = self.plan.clock.here()

    def event_ended(self) -> None:
        """Count the time since an event began, where one did."""
        if self._since is not None:
            self.events += self.plan.clock.here() - self._since
            self._since = None

    def check(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Correct the length where the end would miss the budget; all processes at the same step."""
        step, spent = trainer.global_step, self.plan.clock.spent()
        steps = from_first(lambda: self.decide(ClockReading(step, spent, self.events), module.pace.steps))
        if steps is None or steps == module.pace.steps:
            return
        line = f"budget: {self.words(spent)} of {self.words(self.plan.seconds)} spent at step {step:,}: "
        self.say(f"{line}{steps:,} steps in place of {module.pace.steps:,}")
        module.pace = module.pace.corrected(step, steps)
        trainer.fit_loop.epoch_loop.max_steps = module.pace.steps
        self.note(module.pace, spent)

    def decide(self, now: ClockReading, steps: int) -> int | None:
        """The length of a training that was to have so many steps; None where it stays."""
        before = self._window(now)
        if before is None or now.step >= steps or now.spent - before.spent < LEAST * self.plan.seconds:
            return None
        costs, every, left = self._costs(before, now), self.plan.every, self.plan.seconds - now.spent
        expected = (steps - now.step) * costs.step + every.seconds(costs, now.step, steps)
        if abs(expected - left) <= TOLERANCE * self.plan.seconds + EARLY * max(0.0, left):
            return None
        wanted = steps_for(left, costs, every, now.step)
        return on_validation(wanted, now.step, SLACK * self.plan.seconds, costs.step, every.validation)

    def _window(self, now: ClockReading) -> ClockReading | None:
        """The reading that the present speed is measured from, None for the first one of all."""
        while len(self.readings) > 1 and now.spent - self.readings[1].spent >= WINDOW * self.plan.seconds:
            self.readings.popleft()
        first = self.readings[0] if self.readings else None
        self.readings.append(now)
        return first

    def _costs(self, before: ClockReading, now: ClockReading) -> Costs:
        """The costs at the speed since an earlier reading."""
        expected = self.plan.every.passed(self.plan.costs, self.start, now.step)
        factor = min(STRANGEST, max(1 / STRANGEST, now.events / expected)) if expected > 0 and now.events > 0 else 1.0
        in_steps = now.spent - before.spent - (now.events - before.events)
        step = max(in_steps / (now.step - before.step), 1e-9)
        return replace(scaled(self.plan.costs, factor), step=step, closing=self.plan.costs.closing)

    @staticmethod
    def _between(pace: Pace) -> int:
        return max(1, pace.planned // CHECKS)


class EventEnd(StepCallback):
    """Tells a keeper that a validation, a picture or a checkpoint is over. It stands last among the callbacks."""

    def __init__(self, keeper: BudgetKeeper) -> None:
        self.keeper = keeper

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        self.keeper.event_ended()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.keeper.event_ended()
        self.keeper.tell(self.keeper.plan.clock.spent())


class LastValidation(StepCallback):
    """Validates after the last step too, which a corrected length may have put anywhere between two validations."""

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True  # Lightning validates before it stops
