r"""Copying of training text: how much of a sample stands there word for word?

* longest copy: the longest run of characters of a sample that the training text has, averaged over samples.
* copied n-grams: the share of the samples' n-grams that the training text has; 1 − it is the novelty of n-grams of
  McCoy et al. 2021.

Text of one kind repeats itself, so some copying is no fault: the floor is held-out text, cut as the samples are, looked
up in the same training text. A model whose samples are far above it gives back what it was trained on; one far below
says what nobody writes. Of a long training text the last 4 million characters, or words, are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from genkit.component import PositiveInt
from genkit.data.text.tokenizer import Ids
from genkit.metrics.base import Requirement
from genkit.metrics.grams import longest_matches
from genkit.metrics.interval import mean_interval, normal_interval
from genkit.metrics.text_metric import TextMetric, Unit
from genkit.printing import shown

SEEN = 2**22  # units of the training text, the last ones, that are looked at
LENGTHS = {"words": 5, "characters": 16}  # of n-grams unless told otherwise
TOLD = 80  # characters of the longest copy that the record has


class TextCopying(TextMetric):
    """A score of samples by what of them the training text has."""

    requires: ClassVar[tuple[Requirement, ...]] = ("fake", "train")

    def __init__(self, unit: Unit | None = None) -> None:
        super().__init__(unit)
        self._known: tuple[tuple[int, int], list[Ids]] | None = None

    def matches(self) -> list[Ids]:
        """For each sample and place in it, the units from there on that stand somewhere in the training text."""
        state = (len(self.fake), len(self.seen))
        if self._known is None or self._known[0] != state:
            train = _last(self.cut(self.training_texts()), SEEN)
            self._known = state, longest_matches(train, self.cut(self.texts()))
        return self._known[1]

    def findings(self) -> dict[str, Any]:
        return {"train": sum(map(len, _last(self.cut(self.training_texts()), SEEN)))}


class LongestCopy(TextCopying):
    """The longest run of a sample that the training text has, averaged over samples.

    Args:
        unit: characters or words.
    """

    units: ClassVar[str] = "units"

    def __init__(self, unit: Unit = "characters") -> None:
        super().__init__(unit)

    def each(self) -> Tensor:
        """(n,) units of the longest copy of each sample."""
        return torch.tensor([float(found.max(initial=0)) for found in self.matches()], dtype=torch.float64)

    def compute(self) -> Tensor:
        """() in units."""
        return self.each().mean()

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        return mean_interval(self.each())

    def findings(self) -> dict[str, Any]:
        each = self.each()
        return {"longest": int(each.max()), "text": self._longest(int(each.argmax())), **super().findings()}

    def notes(self) -> Iterator[str]:
        found = self.findings()
        yield f"the longest one has {found['longest']:,} {self.taken}: {found['text']}"

    def _longest(self, sample: int) -> str:
        """The longest copy of a sample; of one that is cut into words its beginning, since spaces are no words."""
        found, text = self.matches()[sample], self.texts()[sample]
        if self.taken == "characters" and len(found):
            low = int(found.argmax())
            text = text[low : low + int(found[low])]
        return shown(text, TOLD)


class CopiedNgrams(TextCopying):
    """The share of the samples' n-grams that the training text has.

    References:
        How much do language models copy from their training data? (McCoy et al., 2021), 2111.09509.

    Args:
        n: Units of an n-gram; null: 5 words or 16 characters.
        unit: words or characters; null: by the data, see `TextMetric`.
    """

    def __init__(self, n: PositiveInt | None = None, unit: Unit | None = None) -> None:
        super().__init__(unit)
        self.n = n

    def shares(self, n: int) -> Tensor:
        """(samples, 2): the n-grams of each that the training text has, and all of them."""
        found = (run[: max(0, len(run) - n + 1)] for run in self.matches())
        return torch.tensor([[float((run >= n).sum()), float(len(run))] for run in found], dtype=torch.float64)

    def compute(self) -> Tensor:
        """() in [0, 1]; NaN where no sample is as long as an n-gram."""
        copied, all_of = self.shares(self.taken_n).sum(0)
        return copied / all_of

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """Of a ratio of two means over samples, to first order."""
        shares = self.shares(self.taken_n)
        value, total = float(self.compute()), float(shares[:, 1].sum())
        if not total:
            return None
        error = math.sqrt(float((shares[:, 0] - value * shares[:, 1]).square().sum())) / total
        low, high = normal_interval(value, error, least=0.0)
        return low, min(high, 1.0)

    @property
    def taken_n(self) -> int:
        """n."""
        return self.n or LENGTHS[self.taken]

    def params(self) -> dict[str, Any]:
        return {"n": self.taken_n, **super().params()}

    def findings(self) -> dict[str, Any]:
        totals = {n: self.shares(n).sum(0).tolist() for n in (1, 2, 4, 8, 16, 32)}
        shares = {f"copied_{n}": copied / whole for n, (copied, whole) in totals.items() if whole}
        return {**shares, **super().findings()}


def _last(sequences: Sequence[Ids], most: int) -> list[Ids]:
    """The last sequences, at most so many units of them."""
    found: list[Ids] = []
    for sequence in reversed(sequences):
        found.append(sequence[max(0, len(sequence) - most) :])
        most -= len(found[-1])
        if most <= 0:
            break
    return found[::-1]
