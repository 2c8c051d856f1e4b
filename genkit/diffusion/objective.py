r"""What a diffusion model minimises.

.. math:: \min_D\; E_{x, \epsilon, t}\; w(t)\, \| D(\alpha_t x + \sigma_t \epsilon, t) - x \|^2

Times, weighting and coupling are parts; another objective over the same networks is another class.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genkit.component import Component
from genkit.diffusion.coupling import Coupling, IndependentCoupling
from genkit.diffusion.denoiser import expand_to
from genkit.diffusion.parametrisation import NetworkDenoiser
from genkit.diffusion.times import LogNormalLevels, Times
from genkit.diffusion.weighting import OutputWeighting, Weighting


class Objective(Component, ABC):
    """A loss of a network under a denoiser."""

    @abstractmethod
    def __call__(self, denoiser: NetworkDenoiser, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """x (B, *shape) and labels y (B,) or None to "loss" and its named terms, each of shape ()."""

    def check(self, denoiser: NetworkDenoiser) -> None:
        """Raises ConfigError for a denoiser that it cannot train; by default there is none."""


class Denoising(Objective):
    """w(t) ‖D(x_t, t, y) − x‖², the mean over an example's values.

    Arguments:
        times: Distribution of t; None: log-normal noise levels.
        weighting: w; None: the plain error of the network's output.
        coupling: Of noise and examples; None: independent.
    """

    def __init__(
        self, times: Times | None = None, weighting: Weighting | None = None, coupling: Coupling | None = None
    ) -> None:
        self.times, self.weighting = times or LogNormalLevels(), weighting or OutputWeighting()
        self.coupling = coupling or IndependentCoupling()

    def __call__(self, denoiser: NetworkDenoiser, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        t = self.times(len(x), denoiser.schedule, denoiser.data_std)
        eps = self.coupling(x, torch.randn_like(x), y)
        alpha, sigma = (expand_to(value, x) for value in denoiser.schedule(t))
        error = (denoiser(alpha * x + sigma * eps, t, y) - x).square().flatten(1).mean(1)
        return {"loss": (self.weighting(denoiser, t) * error).mean()}
