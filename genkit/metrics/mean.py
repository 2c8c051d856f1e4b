"""Scores that are a mean over examples: one value per example, kept, so that mean and error never depend on batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from genkit.errors import ConfigError, NumericalError
from genkit.metrics.base import Probe, ProbeMetric
from genkit.metrics.interval import mean_interval


class ExampleMean(ProbeMetric, ABC):
    """The mean of a value per example, with its standard error as interval."""

    covers: ClassVar[str] = "the mean score over draws of the reference"

    values: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("values", default=[], dist_reduce_fx="cat")

    @abstractmethod
    def per_example(self, probe: Probe) -> Tensor:
        """(B,): the value of each example of the batch."""

    def update(self, probe: Probe) -> None:
        """Keep the values of one batch; a batch that lacks what the metric requires changes nothing."""
        if all(name in probe for name in self.requires):
            self.values.append(self.per_example(probe).to(torch.float64))

    def examples(self) -> Tensor:
        """(n,) float64. Raises ConfigError without examples, NumericalError where a value is NaN."""
        if len(self.values) == 0:
            raise ConfigError(f"{type(self).__name__} needs at least 1 example, got 0: raise n=")
        values = dim_zero_cat(self.values)
        if values.isnan().any():
            bad = int(values.isnan().nonzero()[0])
            raise NumericalError(f"{type(self).__name__} of example {bad} is NaN: the model diverged")
        return values

    def compute(self) -> Tensor:
        """The mean ()."""
        return self.examples().mean()

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        return mean_interval(self.examples())
