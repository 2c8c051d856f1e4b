"""The plan of a training for a given time: how many steps, and what is done between them how often.

Costs are seconds of one clock. Of the time that is left, at most the shares below go to validations, scores, pictures
and checkpoints; steps take the rest. Everything here is arithmetic on numbers that were measured elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor

VALIDATIONS, PICTURES, CHECKPOINTS = 30, 10, 10  # of a run, at most
SHARES = {"validation": 0.08, "score": 0.08, "picture": 0.06, "checkpoint": 0.04}  # of the time, at most
SLACK = 0.01  # share of the time that an end on a validation may cost


@dataclass(frozen=True)
class Costs:
    """Seconds that the parts of a training take.

    Attributes:
        step: One optimizer step, the mean over all phases.
        validation: One validation, 0.0 where there is none.
        score: One set of quick scores.
        picture: One picture of samples.
        checkpoint: One checkpoint.
        closing: What comes after the last checkpoint.
    """

    step: float
    validation: float = 0.0
    score: float = 0.0
    picture: float = 0.0
    checkpoint: float = 0.0
    closing: float = 0.0

    @property
    def least(self) -> float:
        """Seconds of the shortest training: a step, and one of everything."""
        return self.step + self.ending

    @property
    def ending(self) -> float:
        """Seconds of what a training ends with, after its last step."""
        return self.validation + self.score + self.picture + self.checkpoint + self.closing


@dataclass(frozen=True)
class Intervals:
    """Optimizer steps between things.

    Attributes:
        validation: Between validations.
        score: Between quick scores, a multiple of the validations'.
        picture: Between pictures, 0 for none at all.
        checkpoint: Between checkpoints.
    """

    validation: int
    score: int
    picture: int
    checkpoint: int

    def seconds(self, costs: Costs, first: int, last: int) -> float:
        """Seconds of everything but steps, after the step `first` up to the end of a training at `last`.

        A training ends with a validation, a score, a picture and a checkpoint, whatever its last step.
        """
        times = ((cost, ceil(last / interval) - first // interval) for cost, interval in self.pairs(costs))
        return sum(cost * n for cost, n in times) + costs.closing

    def passed(self, costs: Costs, first: int, last: int) -> float:
        """Seconds of everything but steps, after the step `first` up to the step `last` of a training that goes on."""
        return sum(cost * (last // interval - first // interval) for cost, interval in self.pairs(costs))

    def pairs(self, costs: Costs) -> list[tuple[float, int]]:
        """Seconds of each of these things, and the steps between them."""
        found = [
            (costs.validation, self.validation),
            (costs.score, self.score),
            (costs.picture, self.picture),
            (costs.checkpoint, self.checkpoint),
        ]
        return [(cost, interval) for cost, interval in found if interval]


@dataclass(frozen=True)
class TrainingPlan:
    """The length of a training and of its intervals, as a budget decides them.

    Attributes:
        steps: Optimizer steps of the training.
        warmup: Steps in which the learning rate rises.
        hold: Share of the others in which it is whole, where it falls after that.
        log: Steps between lines of metrics.jsonl.
        every: Steps between everything else.
    """

    steps: int
    warmup: int
    hold: float
    log: int
    every: Intervals


def plan_for(
    seconds: float,
    costs: Costs,
    *,
    recipe: int,
    warmup: int,
    log: int,
    often: int | None = None,
    phases: int = 1,
    pictures: bool = True,
) -> TrainingPlan:
    """The plan of a training that ends after so many seconds.

    Args:
        seconds: What is left, at least `costs.least`.
        costs: As measured.
        recipe, warmup, log: Steps of the training, of its warm-up and between lines of the log that there would be
            without a budget; a shorter training has a warm-up of the same share, and its rate falls in the steps that
            are the same share of it as it is of the recipe.
        often: Steps between validations that the run would have anyway: each of them validates still, where the time
            allows for it.
        phases: Steps of one round of all phases; validations come after whole rounds.
        pictures: False for a run that draws none.
    """
    look = costs.validation + costs.checkpoint  # a validation may find the best checkpoint so far
    validations = _count(seconds, look, "validation", VALIDATIONS)
    scores = _count(seconds, costs.score, "score", validations) if costs.score else 0
    drawn = _count(seconds, costs.picture, "picture", min(PICTURES, validations)) if pictures else 0
    left = seconds - costs.closing - scores * costs.score - drawn * costs.picture
    steps = max(1, floor((left - validations * look) / costs.step))
    between = min(steps, max(phases, steps // validations // phases * phases))  # whole rounds
    most = 2 * max(validations, floor(SHARES["validation"] * seconds / look) if look else VALIDATIONS)
    if often is not None:
        between = _within(between, often, phases, least=steps / most)
    if steps - between < phases:
        between = steps  # the last step validates anyway
    steps = max(1, floor((left - ceil(steps / between) * look) / costs.step))
    steps = on_validation(steps, 0, SLACK * seconds, costs.step, between)
    between = min(between, steps)
    validations = ceil(steps / between)
    kept = _count(seconds, costs.checkpoint, "checkpoint", min(CHECKPOINTS, validations))
    every = Intervals(
        validation=between,
        score=between * ceil(validations / scores) if scores else between,
        picture=between * ceil(validations / drawn) if drawn else 0,
        checkpoint=between * ceil(validations / kept),
    )
    share = min(1.0, steps / recipe)
    return TrainingPlan(steps, floor(warmup * share), 1 - share, max(1, min(log, between)), every)


def _within(between: int, often: int, phases: int, least: float) -> int:
    """The largest divisor of `often` that is no more than `between` and no less than `least`; else `between`."""
    fitting = (n for n in range(min(between, often), 0, -1) if often % n == 0 and n % phases == 0)
    found = next(fitting, 0)
    return found if found >= least else between


def steps_for(seconds: float, costs: Costs, every: Intervals, done: int) -> int:
    """The steps of a training that ends after so many more seconds, when `done` steps are done; at least one more."""
    per_step = costs.step + sum(cost / interval for cost, interval in every.pairs(costs))
    steps = done + max(1, round((seconds - costs.closing) / per_step))
    for _ in range(4):  # the last of everything comes at the end, wherever that is
        over = (steps - done) * costs.step + every.seconds(costs, done, steps) - seconds
        steps = max(done + 1, steps - round(over / per_step))
    return steps


def on_validation(steps: int, done: int, slack: float, step: float, between: int) -> int:
    """The nearest step that validates anyway, where that changes the end by less than `slack` seconds; else `steps`."""
    nearest = max(1, round(steps / between)) * between
    return nearest if nearest > done and abs(nearest - steps) * step <= slack else steps


def scaled(costs: Costs, factor: float) -> Costs:
    """The costs where everything takes `factor` times as long."""
    return replace(costs, **{name: factor * value for name, value in vars(costs).items()})


def _count(seconds: float, cost: float, share: str, most: int) -> int:
    """The most of something that its share of the time pays for, at least one."""
    return most if cost <= 0 else max(1, min(most, floor(SHARES[share] * seconds / cost)))
