"""The ability to generate from a latent of known density: what inference of latents asks of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from genkit.noise import Noise


class LatentVariable(ABC):
    """Ability: x = g(z) with g differentiable and p(z) known up to a constant."""

    @abstractmethod
    def draw_latent(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        """z (n, D) from p(z | y)."""

    @abstractmethod
    def latent_log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(z | y) up to a constant, (B, D) to (B,), differentiable."""

    @abstractmethod
    def from_latent(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """g(z), (B, D) to (B, *shape), differentiable."""


class StandardLatent(LatentVariable):
    """Ability: such a model whose latents are standard normal.

    Attributes:
        latent_size: D.
    """

    latent_size: int

    def draw_latent(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return noise(self.latent_size)

    def latent_log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return -0.5 * z.square().sum(1)
