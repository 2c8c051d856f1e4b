"""The ability to denoise: what posterior samplers of diffusion models ask of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from genkit.diffusion.denoiser import Denoiser
from genkit.diffusion.sampler import SamplerFactory


class Denoises(ABC):
    """Ability: the posterior mean E[x | x_t] of a noisy example, in the data's own space.

    Attributes:
        needs_label: Whether it was trained with labels and never without.
        sampler: What its samples are drawn with, to be given a denoiser.
    """

    sampler: SamplerFactory

    @property
    @abstractmethod
    def needs_label(self) -> bool: ...

    @abstractmethod
    def denoiser_for(self, n: int, y: Tensor | None = None) -> Denoiser:
        """The denoiser of n examples as samples are drawn by it, guidance and clipping included.

        It takes n rows, or k · n of them, k for each example.

        Args:
            n: Examples.
            y: Their labels (n,), of a conditional model; None: as it was trained without, see `needs_label`.
        """


class DenoisesParts(Denoises):
    """Ability: to be told finer parts of the data than its labels, which a posterior sampler then infers."""

    @abstractmethod
    def part_shares(self, y: Tensor | None = None) -> Tensor | None:
        """Shares of the parts that an example may be of, (1, P), or (n, P) with labels; None where there are none.

        Args:
            y: Labels (n,) of the examples, None where they are not known.
        """

    @abstractmethod
    def denoiser_of_parts(self, part: Tensor) -> Denoiser:
        """That of rows (R,) each of a part; of a model that has some."""
