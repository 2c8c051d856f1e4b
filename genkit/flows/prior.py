r"""Base densities of flows: a standard normal, or a uniform box for data with hard ends.

Both are drawn from standard normal noise, so one source of noise serves every model; the box through Φ, the normal
distribution function: u = 2 Φ(τ eps) − 1. A temperature τ < 1 draws nearer to the centre.
"""

from abc import ABC, abstractmethod
from math import log, pi

import torch
from torch import Tensor

from genkit.flows.transform import per_example


class BaseDistribution(ABC):
    """A distribution of independent latents z (B, D)."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (B, D) to (B,)."""

    @abstractmethod
    def draw(self, eps: Tensor, temperature: float = 1.0) -> Tensor:
        """Standard normal noise eps (n, D) to latents (n, D)."""

    @abstractmethod
    def noise_of(self, z: Tensor) -> Tensor:
        """The noise (n, D) that `draw` makes the latents z (n, D) of."""


class NormalBase(BaseDistribution):
    """p(z) = N(z; 0, I)."""

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * per_example(z.square() + log(2 * pi))

    def draw(self, eps: Tensor, temperature: float = 1.0) -> Tensor:
        return temperature * eps

    def noise_of(self, z: Tensor) -> Tensor:
        return z


class UniformBox(BaseDistribution):
    """p(z) = 2⁻ᴰ on [−1, 1]ᴰ.

    The density is constant without a test of the ends: a flow that maps a box onto it knows by x what lies outside,
    and rounding may put the image of an end just past 1.
    """

    def log_prob(self, z: Tensor) -> Tensor:
        return z.new_full((len(z),), -log(2) * z[0].numel())

    def draw(self, eps: Tensor, temperature: float = 1.0) -> Tensor:
        return 2 * torch.special.ndtr(temperature * eps) - 1

    def noise_of(self, z: Tensor) -> Tensor:
        """Of what rounding put on an end or past it, that of the number next to the end."""
        least = torch.finfo(z.dtype).eps / 2
        return torch.special.ndtri(((z + 1) / 2).clamp(least, 1 - least))
