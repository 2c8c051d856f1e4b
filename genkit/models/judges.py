"""The ability to judge whether an example is real: a discriminator, put to use after training."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Judges(ABC):
    """Ability: a number for each example that is higher the more real it seems."""

    @abstractmethod
    def realness(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Model values (B, *shape) and labels (B,) of a conditional model to (B,)."""
