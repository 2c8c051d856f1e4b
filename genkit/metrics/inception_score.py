r"""The Inception score (Salimans et al. 2016): confident about each sample, evenly spread over the classes.

.. math:: IS = \exp\, \mathbb{E}_x KL(p(y|x) \,\|\, p(y)), \qquad 1 \le IS \le K

with p(y|x) the class probabilities of the feature network and p(y) their mean over the samples. It looks at no real
data and sees no copying; it means something only where the classifier is one of the very data. Averages over small
splits, as other programs report them, are biased downwards: 100 samples of ten balanced classes score 9.6, not 10.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from genkit.component import NonNegativeInt, PositiveInt
from genkit.data.order import canonical_order
from genkit.errors import ConfigError, NumericalError
from genkit.metrics.base import Probe, ProbeMetric, Requirement
from genkit.metrics.interval import bootstrap_interval, resamples
from genkit.noise import generator_of


def inception_score(log_probs: Tensor, weights: Tensor | None = None) -> Tensor:
    """The score () of log-probabilities (n, K), float64, each row counted `weights` (n,) times."""
    w = torch.ones(len(log_probs), dtype=torch.float64) if weights is None else weights.to(torch.float64)
    p = log_probs.exp()
    negative_entropy = torch.where(p > 0, p * log_probs, 0.0).sum(1)  # 0 log 0 = 0, where log 0 is −∞
    marginal = w @ p / w.sum()
    return (w @ negative_entropy / w.sum() - torch.special.xlogy(marginal, marginal).sum()).exp()


class InceptionScore(ProbeMetric):
    """The Inception score by the classifier of the feature space.

    References:
        Improved Techniques for Training GANs (Salimans et al., 2016), 1606.03498.
        A Note on the Inception Score (Barratt & Sharma, 2018), 1801.01973.

    Args:
        splits: Into how many parts the samples are shuffled; the value is the mean of their scores.
        seed: Of the shuffle.
    """

    requires: ClassVar[tuple[Requirement, ...]] = ("fake", "logits")
    uses_features: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]
    divergence: ClassVar[bool] = False
    units: ClassVar[str] = "classes"

    log_probs: list[Tensor]

    def __init__(self, splits: PositiveInt = 1, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        self.splits, self.seed = splits, seed
        self.add_state("log_probs", default=[], dist_reduce_fx="cat")

    def update(self, probe: Probe) -> None:
        """Keep the class probabilities of one batch; a batch without fakes changes nothing."""
        if "fake_logits" in probe:
            self.log_probs.append(probe["fake_logits"].to(torch.float64).log_softmax(1))

    def compute(self) -> Tensor:
        """() in [1, K]. Raises ConfigError for fewer samples than splits, NumericalError for NaN."""
        rows = self._rows()
        if self.splits == 1:
            return inception_score(rows)
        order = torch.randperm(len(rows), generator=generator_of(self.seed, "splits"))
        ends = [i * len(rows) // self.splits for i in range(self.splits + 1)]
        parts = [rows[order[low:high]] for low, high in pairwise(ends)]
        return torch.stack([inception_score(part) for part in parts]).mean()

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """Value ± 1.96 bootstrap standard deviations of the score of all samples."""
        rows = self._rows()
        scores = [inception_score(rows, counts) for counts in resamples(len(rows), repeats, seed)]
        return bootstrap_interval(float(self.compute()), torch.stack(scores), least=1.0) if scores else None

    def params(self) -> dict[str, Any]:
        return {"splits": self.splits, "seed": self.seed, "classes": self._rows().shape[1]}

    def findings(self) -> dict[str, Any]:
        return {"of_all": float(inception_score(self._rows()))}

    def _rows(self) -> Tensor:
        """(n, K) in canonical order, so that splits and resamples do not depend on the order of the samples."""
        n = sum(map(len, self.log_probs)) if isinstance(self.log_probs, list) else len(self.log_probs)
        if n < max(self.splits, 2):
            raise ConfigError(f"InceptionScore of {n:,} samples in {self.splits:,} splits: raise n= or lower splits")
        rows = dim_zero_cat(self.log_probs)
        if rows.isnan().any():
            raise NumericalError("InceptionScore: a class probability is NaN: the samples diverged")
        return rows[canonical_order(rows)]
