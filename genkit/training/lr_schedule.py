r"""Learning-rate schedules: factors of the optimizer's rate as a function of the step alone.

With w warm-up steps of S in all, the factor rises linearly, (k + 1) / w, and then follows the schedule's own curve over
the remaining share p = (k − w) / (S − w).
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated

from genkit.component import Component, NonNegativeInt, Probability, Range


class LRSchedule(Component, ABC):
    """Factor of the learning rate at each optimizer step.

    Attributes:
        warmup_steps: Steps of linear rise.
        hold: Share of what follows the warm-up in which a rate that falls later is still whole; None: not such a rate.
        needs_horizon: Whether the factor depends on the length of the training, so that extending it changes the past.
    """

    warmup_steps: int
    hold: float | None = None
    needs_horizon: bool = False

    def factor(self, step: float, max_steps: int) -> float:
        """The factor at step 0 … max_steps − 1, or between two of them."""
        if step < self.warmup_steps:
            return min(1.0, (step + 1) / self.warmup_steps)
        return self.curve((step - self.warmup_steps) / max(1, max_steps - self.warmup_steps))

    @abstractmethod
    def curve(self, p: float) -> float:
        """The factor after the share p in [0, 1] of what follows the warm-up."""


class ConstantLR(LRSchedule):
    """The same rate throughout.

    Arguments:
        warmup_steps: Steps of linear rise.
    """

    def __init__(self, warmup_steps: NonNegativeInt = 0) -> None:
        self.warmup_steps = warmup_steps

    def curve(self, p: float) -> float:
        return 1.0


class CosineLR(LRSchedule):
    """Half a cosine from 1 to `final` (Loshchilov & Hutter 2016, SGDR, 1608.03983).

    With `hold` the rate stays whole for this share, and the cosine comes after it: in a training that is much shorter
    than the recipe, steps at a small rate are steps that are missed (Hägele et al. 2024, 2405.18392).

    Arguments:
        warmup_steps: Steps of linear rise.
        final: The factor at the end.
        hold: Share of what follows the warm-up, before the cosine.
    """

    needs_horizon = True
    hold: float

    def __init__(
        self,
        warmup_steps: NonNegativeInt = 50,
        final: Probability = 0.0,
        hold: Annotated[float, Range(0.0, 0.99)] = 0.0,
    ) -> None:
        self.warmup_steps, self.final, self.hold = warmup_steps, final, hold

    def curve(self, p: float) -> float:
        fallen = max(0.0, min(p, 1.0) - self.hold) / (1 - self.hold)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * fallen))
