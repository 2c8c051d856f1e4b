"""The ability to denoise: what posterior samplers of diffusion models ask of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from genkit.diffusion.denoiser import Denoiser


class Denoises(ABC):
    """Ability: the posterior mean E[x | x_t] of a noisy example, in the data's own space."""

    @abstractmethod
    def denoiser_for(self, n: int, y: Tensor | None = None) -> Denoiser:
        """The denoiser of n examples as samples are drawn by it, guidance and clipping included.

        It takes n rows, or k · n of them, k for each example.

        Args:
            n: Examples.
            y: Their labels (n,), of a conditional model.
        """
