r"""Diversity of samples of text: do they say different things?

* distinct-n (Li et al. 2016): the different n-grams of all samples over all of their n-grams.
* self-BLEU (Zhu et al. 2018): BLEU of each sample against all others, averaged. Of clipped precisions p_n of n-grams

  .. math:: BLEU = \min(1, e^{1 - r/c}) \Big(\prod_{n=1}^N p_n\Big)^{1/N},

  c the words of the sample and r those of the other sample that is closest in length (Papineni et al. 2002). A
  precision of 0 counts as 0.1 n-grams (Chen and Cherry 2014, method 1), and a sample that shares no word has 0.

Samples that repeat themselves or each other have few distinct n-grams and a high self-BLEU; so has real text, to the
degree that the floor says. Noise is more distinct than text: the best value is that of real data.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit.component import PositiveInt
from genkit.data.text.tokenizer import Ids
from genkit.metrics.base import Requirement
from genkit.metrics.grams import grams
from genkit.metrics.interval import normal_interval
from genkit.metrics.manifold_error import mean_variance, random_halves
from genkit.metrics.text_metric import TextMetric, Unit

Scores = NDArray[np.float64]
MISSED = 0.1  # n-grams that a precision without any match is said to have


class Diversity(TextMetric):
    """A score of the samples as a set, whose interval comes from the scores of random halves of them."""

    requires: ClassVar[tuple[Requirement, ...]] = ("fake",)

    @abstractmethod
    def of(self, chosen: NDArray[np.bool_]) -> float:
        """The score of the chosen ones (n,) of the samples."""

    @abstractmethod
    def prepare(self, sequences: Sequence[Ids]) -> None:
        """Count what all subsets of the samples share."""

    def compute(self) -> Tensor:
        """() in [0, 1]. Raises ConfigError for fewer than two samples."""
        sequences = self.cut(self.texts())
        self.prepare(sequences)
        return torch.tensor(self.of(np.ones(len(sequences), bool)), dtype=torch.float64)

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        value, n = float(self.compute()), sum(map(len, self.fake))
        if n < 4:
            return None
        halves = random_halves(torch.empty(n))[:repeats].numpy()
        found = torch.tensor([[self.of(half), self.of(~half)] for half in halves], dtype=torch.float64)
        low, high = normal_interval(value, math.sqrt(mean_variance(found)), least=0.0)
        return low, min(high, 1.0)


class DistinctN(Diversity):
    """Different n-grams of the samples over all of their n-grams.

    References:
        A Diversity-Promoting Objective Function for Neural Conversation Models (Li et al., 2016), 1510.03055.

    Args:
        n: Units of an n-gram.
        unit: words or characters; null: by the data, see `TextMetric`.
    """

    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]

    def __init__(self, n: PositiveInt = 2, unit: Unit | None = None) -> None:
        super().__init__(unit)
        self.n = n

    def prepare(self, sequences: Sequence[Ids]) -> None:
        self._grams, self._owner = grams(sequences, self.n)

    def of(self, chosen: NDArray[np.bool_]) -> float:
        found = self._grams[chosen[self._owner]]
        return len(np.unique(found)) / len(found) if len(found) else 0.0

    def params(self) -> dict[str, Any]:
        return {"n": self.n, **super().params()}

    def findings(self) -> dict[str, Any]:
        sequences = self.cut(self.texts())
        every = {size: grams(sequences, size)[0] for size in range(1, 5)}
        shares = {f"distinct_{size}": len(np.unique(found)) / len(found) for size, found in every.items() if len(found)}
        return {**shares, "units": sum(map(len, sequences))}


class SelfBLEU(Diversity):
    """BLEU of each sample against all others, averaged.

    References:
        Texygen (Zhu et al., 2018), 1802.01886.

    Args:
        n: The longest n-grams that are counted.
        unit: words or characters; null: by the data, see `TextMetric`.
    """

    def __init__(self, n: PositiveInt = 4, unit: Unit | None = None) -> None:
        super().__init__(unit)
        self.n = n

    def prepare(self, sequences: Sequence[Ids]) -> None:
        self._sizes = np.array([len(sequence) for sequence in sequences], np.int64)
        self._counts = [_counted(*grams(sequences, size)) for size in range(1, self.n + 1)]

    def of(self, chosen: NDArray[np.bool_]) -> float:
        return float(self.each(chosen).mean())

    def each(self, chosen: NDArray[np.bool_]) -> Scores:
        """(k,) BLEU of each of the chosen samples against the others of them."""
        logs, shared = np.zeros(len(chosen)), np.zeros(len(chosen))
        for size, counts in enumerate(self._counts, 1):
            number, owner, count = (part[chosen[counts[1]]] for part in counts)
            matched = _matched(number, owner, count, len(chosen))
            shared = matched if size == 1 else shared
            logs += np.log(np.where(matched > 0, matched, MISSED) / np.maximum(self._sizes - size + 1, 1)) / self.n
        short = np.minimum(1 - _closest(self._sizes[chosen]) / np.maximum(self._sizes[chosen], 1), 0.0)
        return np.where(shared[chosen] > 0, np.exp(logs[chosen] + short), 0.0)

    def params(self) -> dict[str, Any]:
        return {"n": self.n, "smoothing": MISSED, **super().params()}


def _counted(number: Ids, owner: Ids) -> tuple[Ids, Ids, Ids]:
    """(P,) n-grams, samples that have them, and how often, by n-gram and then from the most on."""
    order = np.lexsort((owner, number))
    number, owner = number[order], owner[order]
    first = np.flatnonzero(np.r_[True, (np.diff(number) != 0) | (np.diff(owner) != 0)][: len(number)])
    count = np.diff(np.r_[first, len(number)])
    number, owner = number[first], owner[first]
    order = np.lexsort((-count, number))
    return number[order], owner[order], count[order]


def _matched(number: Ids, owner: Ids, count: Ids, many: int) -> Scores:
    """(n,) n-grams of each sample that another one has too, each at most as often as any other one has it.

    The most of an n-gram stands first, so the others' most is the second for that sample, and the first for the rest.
    """
    if not len(number):
        return np.zeros(many)
    opens = np.r_[True, np.diff(number) != 0]
    group = opens.cumsum() - 1
    first = np.flatnonzero(opens)
    second = first + 1
    several = np.r_[second[:-1] < first[1:], second[-1:] < len(number)]
    runner_up = np.where(several, count[np.minimum(second, len(number) - 1)], 0)
    others = np.where(opens, runner_up[group], count[first][group])
    return np.bincount(owner, np.minimum(count, others), minlength=many).astype(np.float64)


def _closest(sizes: Ids) -> Ids:
    """(n,) the size of another sample that is closest to each one's, the smaller of two."""
    order = np.argsort(sizes, kind="stable")
    ordered = sizes[order]
    below, above = np.r_[ordered[:1] - 2**40, ordered[:-1]], np.r_[ordered[1:], ordered[-1:] + 2**40]
    nearest = np.where(ordered - below <= above - ordered, below, above)
    found = np.empty_like(sizes)
    found[order] = nearest
    return found
