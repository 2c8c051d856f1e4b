r"""Time grids: the times between 1 and 0 at which a sampler evaluates the network.

The schedule's own spacing is uniform t. A grid may instead be chosen in the noise level σ = sigma_t / alpha_t, and then
is the same for every schedule.
"""

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import Component, Range
from genkit.diffusion.schedule import RHO, Schedule


class Grid(Component, ABC):
    """Times from 1 to 0."""

    def __call__(self, steps: int, schedule: Schedule) -> Tensor:
        """(steps,) float64 falling times on the CPU, the first 1 and the last 0 (one step: 1 alone)."""
        share = torch.linspace(1, 0, steps, dtype=torch.float64, device="cpu")
        times = self.times(share, schedule).clone()
        times[-1], times[0] = 0.0, 1.0
        return times

    @abstractmethod
    def times(self, share: Tensor, schedule: Schedule) -> Tensor:
        """Times at the shares of the grid, falling from 1 to 0."""


class UniformGrid(Grid):
    """Equal steps of t."""

    def times(self, share: Tensor, schedule: Schedule) -> Tensor:
        return share


class LogSNRGrid(Grid):
    """Equal steps of the log signal-to-noise ratio.

    References: DPM-Solver (Lu et al. 2022, 2206.00927).
    """

    def times(self, share: Tensor, schedule: Schedule) -> Tensor:
        low, high = _ends(schedule).log()
        return schedule.time(torch.exp(low + share * (high - low)))


class KarrasGrid(Grid):
    """Equal steps of σ^(1/ρ): more of them at low noise.

    References: Karras et al. 2022, 2206.00364, equation 5.

    Arguments:
        rho: ρ; 1 is uniform in σ.
    """

    def __init__(self, rho: Annotated[float, Range(1.0, 100.0)] = RHO) -> None:
        self.rho = rho

    def times(self, share: Tensor, schedule: Schedule) -> Tensor:
        low, high = _ends(schedule) ** (1 / self.rho)
        return schedule.time((low + share * (high - low)) ** self.rho)


def _ends(schedule: Schedule) -> Tensor:
    """(2,): the least and the greatest noise level of a schedule, float64."""
    return schedule.level(torch.tensor([0.0, 1.0], dtype=torch.float64, device="cpu"))
