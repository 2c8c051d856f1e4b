"""The evidence of a diagnosis: numbers that a run recorded, its settings, and what was measured of its checkpoint.

A rule asks for the numbers that it needs and is silent where they are missing: it knows no family of models. What a
model is, follows from what it recorded: logits of real and generated examples, active units, a validation loss.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

Points = Sequence[tuple[float, float]]  # (step, value) by step

ADAPTIVE = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad")
WARM = 0.15  # share of the steps in which a loss may rise since its terms are weighed in
LEAST = 5  # values of a curve, below which it says nothing


@dataclass(frozen=True)
class ScoreFacts:
    """A score, as far as a rule asks for it.

    Attributes:
        name: Such as "fid[digits]".
        value, interval: With its 95 % interval.
        n: Samples that it is of.
        dim: Of the features, where the metric fits their covariance; else None.
        key: The word of the command line that sets n.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    n: int
    dim: int | None = None
    key: str = "n"


@dataclass(frozen=True)
class Evidence:
    """All that a diagnosis may rest on.

    Attributes:
        series: Logged numbers, key -> (step, value) by step.
        broken: The first step at which a key was not finite.
        diverged: Whether the training ended because a number was not finite.
        step, steps: Where it is, and the step that it was to reach.
        settings: Of `genkit train`, by dotted key.
        measured: Of a checkpoint, by name.
        scores: Of its samples.
    """

    series: Mapping[str, Points] = field(default_factory=dict)
    broken: Mapping[str, int] = field(default_factory=dict)
    diverged: bool = False
    step: int = 0
    steps: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    scores: Sequence[ScoreFacts] = ()

    def number(self, key: str) -> float | None:
        """A setting that is a number."""
        value = self.settings.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def last(self, key: str) -> float | None:
        """The last logged value."""
        points = self.series.get(key)
        return points[-1][1] if points else None

    @property
    def training(self) -> Points:
        """The one loss that training minimises; none where phases minimise losses of their own against each other."""
        return self.series.get("train/loss", ())

    @property
    def validation(self) -> Points:
        """The same of validation examples."""
        return self.series.get("val/loss", ())

    @property
    def adaptive(self) -> bool:
        """Tell whether a step moves every weight by about the learning rate, whatever the gradient's size."""
        return str(self.settings.get("optimizer._target_", "")).rpartition(".")[2] in ADAPTIVE

    def rates(self) -> Iterator[tuple[str, Points]]:
        """The learning rates of each group of weights."""
        return ((key, points) for key, points in self.series.items() if key.startswith("lr/") and points)


def smoothed(points: Points, width: int = 5) -> list[tuple[float, float]]:
    """Running medians of `width` values: a spike of one step moves none of them."""
    half = width // 2
    values = [value for _, value in points]
    return [(step, statistics.median(values[max(0, i - half) : i + half + 1])) for i, (step, _) in enumerate(points)]


def start_of(points: Points) -> float:
    """The level at which a curve begins: the largest value of its first steps, in which terms may yet be weighed in."""
    first, last = points[0][0], points[-1][0]
    return max(value for step, value in points if step <= max(first, WARM * last))


def travel(rates: Points) -> list[tuple[float, float]]:
    """The sum of the learning rate over all steps up to each logged one: how far an adaptive optimiser may have got."""
    steps = [step for step, _ in rates]
    gaps = [step - before for step, before in zip(steps, [0.0, *steps], strict=False)]
    return list(zip(steps, accumulate(gap * rate for gap, (_, rate) in zip(gaps, rates, strict=True)), strict=True))


def at(points: Points, step: float) -> float:
    """The last value of a curve up to a step; its first one before."""
    found = points[0][1]
    for place, value in points:
        if place > step:
            break
        found = value
    return found
