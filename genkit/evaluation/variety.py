r"""Measure the variety of a few hundred samples, cheaply enough to run while a model trains: a collapse shows at once.

* Duplicates: the share of samples whose nearest other sample is closer than a tenth of the median such distance among
  as many real examples,

  .. math:: \frac1n \sum_i 1\big[\min_{j \ne i} \|x_i - x_j\| < \tfrac1{10} \operatorname{med}_i d_i\big].

  Real images have none; of points in the plane 0.7 % are that close by chance.
* Modes: of a known mixture of Gaussians, how many are reached (see `genkit.metrics.modes`).
* Classes: of data that a shipped classifier was made for, how many samples it takes for each class. A classifier
  names a class for noise, too, so nothing is counted unless it is as sure of a third of the samples as of nearly all
  real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from genkit.data.dataset import Dataset
from genkit.data.kinds import ValueKind
from genkit.features.base import Classifier
from genkit.features.default import default_features
from genkit.metrics.modes import NO_MODE, assign_modes
from genkit.noise import generator_of

EQUAL = 1e-12  # below which a distance is none, where half of the real examples have a copy
CLOSE = 0.1  # of the median distance between neighbours in real data
SIGMAS = 3.0  # from a mode's centre, within which a sample is of that mode
REAL_SURE = 0.05  # quantile of the classifier's confidence in real examples: who is above it is recognised
RECOGNISED = 1 / 3  # share of samples from which on classes are counted; noise stays below a fifth
FEW = 32  # classes and modes that are listed one by one; more are only counted


def neighbour_distances(v: Tensor, kind: ValueKind) -> Tensor:
    """Distance of each of n ≥ 2 stored examples (n, *shape) to the nearest other one, (n,)."""
    distance = kind.distances(v, v)
    return distance.fill_diagonal_(torch.inf).min(1).values


def _confidence(logits: Tensor) -> Tensor:
    """The probability of the likeliest class (n,)."""
    return logits.softmax(1).amax(1)


@dataclass(frozen=True)
class Variety:
    """The variety of n samples.

    Attributes:
        duplicates: Share of samples that have a near copy among the others.
        kind: What is counted: "classes", "modes", or "" for nothing.
        counts: (K,) samples of each class or mode.
        n: Samples.
    """

    duplicates: float
    kind: str
    counts: Tensor
    n: int

    @property
    def reached(self) -> int:
        """Classes or modes with at least one sample."""
        return int((self.counts > 0).sum())

    def values(self) -> dict[str, float]:
        """The values by log key."""
        found = {"samples/duplicates": self.duplicates}
        if self.kind:
            found[f"samples/{self.kind}"] = float(self.reached)
            if self.kind == "modes":
                found["samples/high_quality"] = float(self.counts.sum()) / self.n
            if len(self.counts) <= FEW:
                found |= {f"samples/{self.kind}/{k}": float(count) / self.n for k, count in enumerate(self.counts)}
        return found

    def line(self) -> str:
        """ "10 of 10 classes (by the classifier: 9 11 …), duplicates 0.0 % (near-copies of another sample)"."""
        parts = [f"duplicates {100 * self.duplicates:.1f} % (near-copies of another sample)"]
        if self.kind:
            parts.insert(0, f"{self.reached} of {len(self.counts)} {self.kind}{self._each()}")
        if self.kind == "modes":
            parts.insert(1, f"{100 * float(self.counts.sum()) / self.n:.0f} % of the samples near one")
        return ", ".join(parts)

    def _each(self) -> str:
        if len(self.counts) > FEW:
            return ""
        who = "by the classifier" if self.kind == "classes" else "samples in each"
        return f" ({who}: {' '.join(str(int(count)) for count in self.counts)})"


class VarietyWatch:
    """Looks at samples of one dataset's models.

    Arguments:
        dataset: What the samples should be like.
        n: Samples that are looked at each time; as many real examples are the measure of closeness.
    """

    def __init__(self, dataset: Dataset, n: int) -> None:
        self.dataset, self.spec, self.n = dataset, dataset.spec, n

    def __call__(self, x: Tensor) -> Variety:
        """Samples (n, *shape) in model units."""
        kind, counts = self._counted(x)
        return Variety(self._duplicates(x), kind, counts, len(x))

    @cached_property
    def close(self) -> float:
        """The distance below which two examples are copies."""
        return max(CLOSE * float(self._nearest(self._real).median()), EQUAL)

    @cached_property
    def sure(self) -> float:
        """The confidence from which on the classifier recognises a class."""
        assert self.classifier is not None
        return float(_confidence(self.classifier.logits(self._real, self.spec)).quantile(REAL_SURE))

    @cached_property
    def _real(self) -> Tensor:
        """As many training examples as samples are looked at, in model units."""
        train = self.dataset.split("train")
        pick = torch.randperm(len(train), generator=generator_of(0, "variety"))[: self.n]
        return self.spec.scale(train.take(pick).x)

    @cached_property
    def classifier(self) -> Classifier | None:
        """The classifier of this very data; what another one takes the samples for says nothing."""
        found = default_features(self.spec, self.dataset.features)
        return found if isinstance(found, Classifier) and not found.stand_in else None

    def _nearest(self, x: Tensor) -> Tensor:
        return neighbour_distances(self.spec.unscale(x), self.spec.kind)

    def _duplicates(self, x: Tensor) -> float:
        return float((self._nearest(x) < self.close).to(torch.float64).mean()) if len(x) > 1 else 0.0

    def _counted(self, x: Tensor) -> tuple[str, Tensor]:
        if self.dataset.modes is not None:
            centres = self.dataset.modes.centres
            modes = assign_modes(x.to(centres.dtype), centres, SIGMAS * self.dataset.modes.std)
            return "modes", torch.bincount(modes[modes != NO_MODE], minlength=len(centres))
        if self.classifier is not None:
            logits = self.classifier.logits(x, self.spec)
            if float((_confidence(logits) >= self.sure).double().mean()) >= RECOGNISED:
                return "classes", torch.bincount(logits.argmax(1), minlength=logits.shape[1])
        return "", torch.zeros(0)
