r"""Coverage and balance of the classes of samples, by the classifier of the feature space.

On stacked MNIST the classes are the 1,000 triples of digits, and the two scores are the modes and the KL of the
literature on mode collapse. A perfect model misses a class of share 1/K among n samples with probability (1 − 1/K)ⁿ,
and its divergence is about (K − 1)/(2n): 0.0195 at K = 1,000, n = 25,600. The classifier's own errors fill classes that
nobody drew: 1 % of wrong channels puts 3 % of the samples elsewhere.
"""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from genkit.data.kinds import Modality
from genkit.errors import ConfigError, NumericalError
from genkit.metrics.base import Probe, ProbeMetric, Requirement
from genkit.metrics.interval import bootstrap_interval, resamples
from genkit.metrics.modes import kl_to_uniform


class ClassMetric(ProbeMetric, ABC):
    """A score of the classes that the samples were taken for."""

    requires: ClassVar[tuple[Requirement, ...]] = ("fake", "logits")
    modalities: ClassVar[tuple[Modality, ...]] = ("image",)
    uses_features: ClassVar[bool] = True

    taken: list[Tensor]
    num_classes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("taken", default=[], dist_reduce_fx="cat")
        self.add_state("num_classes", default=torch.tensor(0), dist_reduce_fx="max")

    def update(self, probe: Probe) -> None:
        """Take each fake of one batch for its likeliest class; a batch without fakes changes nothing.

        Raises NumericalError for NaN.
        """
        if "fake_logits" not in probe:
            return
        logits = probe["fake_logits"]
        if logits.isnan().any():
            raise NumericalError(f"{type(self).__name__}: a class score is NaN: the samples diverged")
        self.taken.append(logits.argmax(1))
        self.num_classes = torch.tensor(logits.shape[1])

    def params(self) -> dict[str, Any]:
        return {"classes": int(self.num_classes)}

    def classes(self) -> Tensor:
        """(n,) int64, sorted: resamples do not depend on the order of the samples. Raises ConfigError without any."""
        if len(self.taken) == 0:
            raise ConfigError(f"{type(self).__name__} needs at least 1 fake sample, got 0: raise n=")
        return dim_zero_cat(self.taken).sort().values


class ClassCoverage(ClassMetric):
    """The number of classes that at least one sample is taken for.

    References:
        VEEGAN (Srivastava et al., 2017), 1705.07761, for stacked MNIST.
    """

    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]
    divergence: ClassVar[bool] = False
    units: ClassVar[str] = "classes"

    def compute(self) -> Tensor:
        """() between 1 and K."""
        return torch.tensor(float(len(self.classes().unique())), dtype=torch.float64)


class ClassImbalance(ClassMetric):
    """KL of the classes' shares from equal shares, in nats: log K where one class has all, (K − 1)/(2n) by chance."""

    units: ClassVar[str] = "nats"

    def compute(self) -> Tensor:
        """() ≥ 0."""
        return torch.tensor(kl_to_uniform(self.classes(), int(self.num_classes)), dtype=torch.float64)

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """Value ± 1.96 bootstrap standard deviations."""
        classes, k = self.classes(), int(self.num_classes)
        drawn = [kl_to_uniform(classes.repeat_interleave(c), k) for c in resamples(len(classes), repeats, seed)]
        return bootstrap_interval(float(self.compute()), torch.tensor(drawn, dtype=torch.float64), least=0.0)

    def findings(self) -> dict[str, Any]:
        return {"by chance": (int(self.num_classes) - 1) / (2 * len(self.classes()))}
