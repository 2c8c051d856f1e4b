r"""The place of each step in a training whose length follows a budget.

A recipe is made for a number of steps, S. What depends on the length of a training (the learning rate, warm-ups of
losses, the horizon of the average) is a function of the position a in [0, L] of a first cycle, L = min(P, S) for a plan
of P steps, and of the share b in [0, 1] of what follows it:

* a training shorter than S is that first cycle alone, so all of the schedule is passed through, faster;
* a longer one is first the recipe, step by step, and then a second cycle for the rest of the time: a warm restart
  (Loshchilov & Hutter 2016, SGDR, 1608.03983) to min(1, R/S) of the rate, for a rest of R steps. So it is not worse at
  its best than the recipe is, whatever the data allow.

A correction at step k says that the training ends at step T. The first cycle then goes on at the speed that ends it at
T, but never slower than S steps for all of it, and the second one at the speed that ends it at T. Both a and b are
continuous: a correction changes how fast the learning rate goes on, never the rate itself. They are a pure function of
P, S and the corrections, all of which a run records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from genkit.training.lr_schedule import LRSchedule


@dataclass(frozen=True)
class Correction:
    """A new length, decided at a step.

    Attributes:
        step: Optimizer steps that were done when it was decided.
        steps: Optimizer steps of the whole training from then on.
    """

    step: int
    steps: int


class Segment(NamedTuple):
    """The speed of a training between one decision and the next.

    Attributes:
        step: Where it begins.
        first, speed: Position in the first cycle there, and how much it rises in a step.
        second, faster: Share of the second cycle after its beginning or `step`, the later one, and its rise in a step.
        turn: The step, perhaps between two, at which the second cycle begins; the end of the training for none.
        rest: Steps of the second cycle as planned when it began, 0 for none.
    """

    step: int
    first: float
    speed: float
    second: float
    faster: float
    turn: float
    rest: int


@dataclass(frozen=True)
class Pace:
    """Positions of steps.

    Attributes:
        planned: P, the steps of the plan.
        recipe: S, the steps that the recipe was made for; None for a training of that length.
        corrections: In the order of their steps, each decided before the training ended.
    """

    planned: int
    recipe: int | None = None
    corrections: tuple[Correction, ...] = ()

    @property
    def steps(self) -> int:
        """Steps of the whole training, as corrected last."""
        return self.corrections[-1].steps if self.corrections else self.planned

    @cached_property
    def length(self) -> int:
        """L, the length of the first cycle."""
        return min(self.planned, self.recipe or self.planned)

    def progress(self, step: int) -> float:
        """The share of the first cycle that is done, in [0, 1]."""
        if self.recipe is None:
            return step / self.planned
        return min(1.0, self._first(step) / self.length)

    def factor(self, schedule: LRSchedule, step: int) -> float:
        """The factor of the learning rate of a step."""
        if self.recipe is None:
            return schedule.factor(step, self.planned)
        segment = self._segment(step)
        if step < segment.turn or not segment.rest:
            return schedule.factor(self._first(step), self.length)
        share = segment.second + segment.faster * (step - max(segment.turn, segment.step))
        peak = min(1.0, segment.rest / self.length) if schedule.needs_horizon else 1.0
        return peak * schedule.factor(share * segment.rest, segment.rest)

    def averaged(self, step: int) -> int:
        """The length of the training that the average of the weights goes by."""
        if self.recipe is None:
            return self.planned
        segment = self._segment(step)
        return self.length if step < segment.turn else self.length + segment.rest

    def corrected(self, step: int, steps: int) -> Pace:
        """The pace from `step` on, where the training is to end after `steps` steps, at least one more."""
        return replace(self, corrections=(*self.corrections, Correction(step, max(steps, step + 1))))

    def until(self, step: int) -> Pace:
        """The pace that was known after `step` steps."""
        return replace(self, corrections=tuple(each for each in self.corrections if each.step <= step))

    def after(self, step: int) -> Sequence[Correction]:
        """The corrections that were decided later."""
        return [each for each in self.corrections if each.step > step]

    def _first(self, step: int) -> float:
        segment = self._segment(step)
        return min(segment.first + segment.speed * (step - segment.step), float(self.length))

    def _segment(self, step: int) -> Segment:
        """The segment whose decision a step follows."""
        for segment in reversed(self._segments):
            if segment.step < step:
                return segment
        return self._segments[0]

    @cached_property
    def _segments(self) -> tuple[Segment, ...]:
        found = [self._of(0, self.planned, 0.0)]
        for each in self.corrections:
            before = found[-1]
            first = min(before.first + before.speed * (each.step - before.step), float(self.length))
            if each.step >= before.turn and before.rest:
                share = before.second + before.faster * (each.step - max(before.turn, before.step))
                faster = (1.0 - share) / (each.steps - each.step)
                found.append(Segment(each.step, first, 0.0, share, faster, before.turn, before.rest))
            else:
                found.append(self._of(each.step, each.steps, first))
        return tuple(found)

    def _of(self, step: int, end: int, first: float) -> Segment:
        """The segment from a step on that lies in the first cycle, of a training that ends at `end`."""
        left = self.length - first
        natural = self.length / self.recipe if self.recipe is not None else 1.0
        if left / natural >= end - step:
            return Segment(step, first, left / (end - step), 0.0, 0.0, float(end), 0)
        turn = step + left / natural
        rest = max(1, round(end - turn))
        return Segment(step, first, natural, 0.0, 1.0 / (end - turn), turn, rest)
