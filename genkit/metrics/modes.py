r"""Modes of a known mixture of isotropic Gaussians: which are reached, and how many samples lie near one.

A sample belongs to its nearest centre and is of high quality within `sigmas` standard deviations of it (VEEGAN,
Srivastava et al. 2017, 1705.07761). Even a perfect model leaves some outside: in D dimensions a share
P(D/2, sigmas²/2) is inside, P the regularised lower incomplete gamma function; in two dimensions 1 − exp(−9/2) =
98.89 % at 3.
"""

from __future__ import annotations

from abc import ABC
from math import log
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from genkit.component import Range
from genkit.data.kinds import Modality
from genkit.errors import ConfigError
from genkit.metrics.base import Probe, ProbeMetric, Requirement
from genkit.metrics.distances import as_rows
from genkit.metrics.interval import wilson_interval

Sigmas = Annotated[float, Range(0.0, 100.0, open_low=True)]

NO_MODE = -1


def assign_modes(x: Tensor, centres: Tensor, radius: float) -> Tensor:
    """(n,) int64: the nearest of the centres (K, D) of each point (n, D), NO_MODE where it is not within `radius`."""
    distance, mode = torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    return mode.where(distance < radius, NO_MODE)


def kl_to_uniform(modes: Tensor, num_modes: int) -> float:
    """KL(p̂ ‖ uniform) in nats of the assigned modes (n,) ≥ 0: 0 if all are equally frequent, log K if one has all."""
    shares = torch.bincount(modes, minlength=num_modes).to(torch.float64) / len(modes)
    return float(torch.special.xlogy(shares, shares).sum()) + log(num_modes)


def quality_ceiling(dim: int, sigmas: float) -> float:
    """The share of a D-dimensional isotropic Gaussian within `sigmas` standard deviations of its centre."""
    half = torch.tensor([dim / 2, sigmas**2 / 2], dtype=torch.float64)
    return float(torch.special.gammainc(half[0], half[1]))


class ModeMetric(ProbeMetric, ABC):
    """A score of the modes that the samples were assigned to.

    Args:
        sigmas: How many standard deviations from its centre a sample may lie.
    """

    requires: ClassVar[tuple[Requirement, ...]] = ("fake", "modes")
    modalities: ClassVar[tuple[Modality, ...]] = ("vector",)
    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]
    divergence: ClassVar[bool] = False

    assigned: list[Tensor]
    num_modes: Tensor
    dim: Tensor

    def __init__(self, sigmas: Sigmas = 3.0) -> None:
        super().__init__()
        self.sigmas = sigmas
        self.add_state("assigned", default=[], dist_reduce_fx="cat")
        self.add_state("num_modes", default=torch.tensor(0), dist_reduce_fx="max")
        self.add_state("dim", default=torch.tensor(0), dist_reduce_fx="max")

    def update(self, probe: Probe) -> None:
        """Assign the fakes of one batch to the modes; a batch without fakes changes nothing."""
        if "fake" not in probe:
            return
        centres = as_rows(probe["centres"])
        self.assigned.append(assign_modes(as_rows(probe["fake"]), centres, self.sigmas * float(probe["std"])))
        self.num_modes, self.dim = (torch.tensor(size) for size in centres.shape)

    def params(self) -> dict[str, Any]:
        return {"sigmas": self.sigmas, "modes": int(self.num_modes)}

    def modes(self) -> Tensor:
        """(n,) int64. Raises ConfigError without samples."""
        if len(self.assigned) == 0:
            raise ConfigError(f"{type(self).__name__} needs at least 1 fake sample, got 0: raise n=")
        return dim_zero_cat(self.assigned)

    def reached(self) -> Tensor:
        """The modes of the high-quality samples alone."""
        modes = self.modes()
        return modes[modes != NO_MODE]


class ModeCoverage(ModeMetric):
    """The number of modes with at least one high-quality sample."""

    units: ClassVar[str] = "modes"

    def compute(self) -> Tensor:
        """() between 0 and K."""
        return torch.tensor(float(len(self.reached().unique())), dtype=torch.float64)


class HighQuality(ModeMetric):
    """The share of samples within `sigmas` standard deviations of the nearest mode."""

    def compute(self) -> Tensor:
        """() in [0, 1]; `findings` says what a perfect model reaches."""
        return (self.modes() != NO_MODE).to(torch.float64).mean()

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return wilson_interval(len(self.reached()), len(self.modes()))

    def findings(self) -> dict[str, Any]:
        return {"ceiling": quality_ceiling(int(self.dim), self.sigmas)}


class ModeImbalance(ModeMetric):
    """KL of the modes' shares among high-quality samples from equal shares, in nats: log K where one mode has all.

    It is infinite where no sample is of high quality; a perfect model has about (K − 1)/(2n).
    """

    higher_is_better: ClassVar[bool] = False  # type: ignore[misc]
    divergence: ClassVar[bool] = True
    units: ClassVar[str] = "nats"

    def compute(self) -> Tensor:
        reached = self.reached()
        value = kl_to_uniform(reached, int(self.num_modes)) if len(reached) else float("inf")
        return torch.tensor(value, dtype=torch.float64)
