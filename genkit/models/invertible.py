"""The ability to find the latent of an example, one-to-one: what translation through latents asks of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Invertible(ABC):
    """Ability: a bijection between examples and standard normal latents."""

    @abstractmethod
    def to_latent(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """z (B, D) of examples (B, *shape), with labels y (B,) of a conditional model."""

    @abstractmethod
    def from_latent(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The inverse, (B, D) to (B, *shape)."""
