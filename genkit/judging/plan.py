"""The order in which a rater sees images: a function of (design, rater).

Two tasks. **Real or fake** (HYPE∞, Zhou et al. 2019, 1904.01121): one image at a time, as many real as fakes.
**2AFC**, the choice between two alternatives: two images of different sources side by side, which looks more real. Into
both are mixed

* repeats of what was shown before, of pairs with the sides exchanged: how well a rater agrees with themselves;
* attention checks, an image of noise: a rater who does not see these does not look.

Images have numbers that say nothing: `Design.sources` lists, for each source, the numbers of its images, drawn at
random when the study was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil
from typing import Literal, TypeVar

import torch

from genkit.noise import generator_of

T = TypeVar("T")
Task = Literal["real_or_fake", "2afc"]
Kind = Literal["first", "repeat", "check"]
EARLY = 0.4  # of the trials, from which repeats are taken; they are shown in the second half


@dataclass(frozen=True)
class Trial:
    """One or two images that a rater is shown once.

    Attributes:
        left: Number of an image, the only one where they are shown one at a time.
        right: Number of the other one.
        kind: Whether it is asked for the first time, again, or to see who looks.
    """

    left: int
    right: int | None = None
    kind: Kind = "first"

    @property
    def swapped(self) -> Trial:
        """The same with its sides exchanged, as a repeat."""
        return Trial(self.left, None, "repeat") if self.right is None else Trial(self.right, self.left, "repeat")


@dataclass(frozen=True)
class Design:
    """All that the trials of a study follow from.

    Attributes:
        task: What is asked.
        seed: Of the orders.
        trials: Of a rater, without repeats and checks.
        repeats, checks: Shares of these that are added.
        real: The source of real images, which all others are told from one at a time; None: there is none.
        sources: Name -> numbers of its images, the i-th of each source of one class where classes are known.
        noise: Numbers of images of noise.
    """

    task: Task
    seed: int
    trials: int
    repeats: float
    checks: float
    real: str | None
    sources: dict[str, list[int]]
    noise: list[int]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs of sources that are compared."""
        return list(combinations(self.sources, 2))

    @property
    def checked(self) -> int:
        """Attention checks of a rater."""
        return ceil(self.checks * self.trials) if self.noise else 0

    @property
    def repeated(self) -> int:
        """Trials that a rater is shown twice."""
        return round(self.repeats * self.trials)


def plan(design: Design, rater: str) -> list[Trial]:
    """The trials of a rater in order."""
    draw = _Draw(design.seed, rater)
    first = _single(design, draw) if design.task == "real_or_fake" else _paired(design, draw)
    mixed = draw.shuffled([*first, *_checks(design, draw)])
    early = [trial for trial in mixed[: ceil(EARLY * len(mixed))] if trial.kind == "first"]
    again = [trial.swapped for trial in draw.shuffled(early)[: design.repeated]]
    middle = len(mixed) // 2
    return [*mixed[:middle], *draw.shuffled([*mixed[middle:], *again])]


class _Draw:
    """Random choices of one rater."""

    def __init__(self, seed: int, rater: str) -> None:
        self.generator = generator_of(seed, "judge", rater)

    def shuffled(self, items: Sequence[T]) -> list[T]:
        order = torch.randperm(len(items), generator=self.generator)
        return [items[i] for i in order.tolist()]

    def some(self, numbers: Sequence[int], n: int) -> list[int]:
        """n of the numbers; all of them before one comes twice."""
        found: list[int] = []
        while len(found) < n:
            found += self.shuffled(numbers)
        return found[:n]


def _shares(total: int, parts: int) -> list[int]:
    """Whole numbers that differ by one at most."""
    return [total // parts + (i < total % parts) for i in range(parts)]


def _single(design: Design, draw: _Draw) -> list[Trial]:
    """Half of them real, the fakes of all models in equal shares."""
    assert design.real is not None
    models = draw.shuffled([name for name in design.sources if name != design.real])
    fakes = design.trials // 2
    numbers = draw.some(design.sources[design.real], design.trials - fakes)
    for name, n in zip(models, _shares(fakes, len(models)), strict=True):
        numbers += draw.some(design.sources[name], n)
    return [Trial(number) for number in numbers]


def _paired(design: Design, draw: _Draw) -> list[Trial]:
    """Equal shares of all pairs, each source on each side as often; images of the same place, so of one class."""
    found = []
    pairs = draw.shuffled(design.pairs)
    for (one, other), n in zip(pairs, _shares(design.trials, len(pairs)), strict=True):
        places = draw.some(range(len(design.sources[one])), n)
        sides = draw.shuffled([i % 2 for i in range(n)])
        for place, side in zip(places, sides, strict=True):
            pair = design.sources[one][place], design.sources[other][place]
            found.append(Trial(pair[side], pair[1 - side]))
    return found


def _checks(design: Design, draw: _Draw) -> list[Trial]:
    """Noise alone, or beside an image of a source, in turn on both sides."""
    numbers = draw.some(design.noise, design.checked)
    if design.task == "real_or_fake":
        return [Trial(number, None, "check") for number in numbers]
    source = design.real or next(iter(design.sources))
    beside = draw.some(design.sources[source], design.checked)
    both = zip(numbers, beside, strict=True)
    return [Trial(*(pair if i % 2 else pair[::-1]), "check") for i, pair in enumerate(both)]
