"""Validity of samples of a language whose grammar is known: the share of them that belong to it.

Of a language, `genkit.data.languages` tells which texts are of it: brackets that match, sums that are right. Real data
is always valid, so the floor is 1. Valid samples may still all be the same: read it beside coverage.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from genkit.data.kinds import Categorical, Modality, ValueKind
from genkit.errors import ConfigError
from genkit.metrics.base import Probe, ProbeMetric, Requirement
from genkit.metrics.interval import wilson_interval


class Validity(ProbeMetric):
    """The share of samples that belong to the language."""

    requires: ClassVar[tuple[Requirement, ...]] = ("fake", "grammar")
    modalities: ClassVar[tuple[Modality, ...]] = ("sequence",)
    kinds: ClassVar[tuple[type[ValueKind], ...]] = (Categorical,)
    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]
    divergence: ClassVar[bool] = False
    has_floor: ClassVar[bool] = False
    covers: ClassVar[str] = "the mean score of n samples"

    valid: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("valid", default=[], dist_reduce_fx="cat")

    def update(self, probe: Probe) -> None:
        if "grammar" in probe:
            self.valid.append(probe["grammar"])

    def compute(self) -> Tensor:
        """() in [0, 1]. Raises ConfigError without samples."""
        if not self.valid:
            raise ConfigError("Validity needs at least 1 sample: raise n=")
        return dim_zero_cat(self.valid).to(torch.float64).mean()

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        valid = dim_zero_cat(self.valid)
        return wilson_interval(int(valid.sum()), len(valid))

    def expected(self) -> float:
        return 1.0
