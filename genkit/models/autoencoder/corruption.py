r"""Corruptions C(x̃ | x) of an autoencoder's input: what it must undo cannot be copied,

.. math:: \min_{e, d} E_{x,\; \tilde x \sim C(\cdot | x)} \| x - d(e(\tilde x)) \|^2

(Vincent et al. 2008, Extracting and Composing Robust Features with Denoising Autoencoders; 2010, JMLR 11).
What is drawn for an example is a function of its position in the batch (`genkit.batch_noise`).
"""

from abc import ABC, abstractmethod
from typing import Protocol

from torch import Tensor

from genkit.batch_noise import normal_like, uniform_like
from genkit.component import Component, PositiveFloat, Probability
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError


class Corruption(Component, ABC):
    """A random damage to model values x (B, *shape) of data described by `spec`."""

    def __init__(self, *, spec: DataSpec) -> None:
        self.spec = spec

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """The damaged x̃, (B, *shape)."""


class CorruptionFactory(Protocol):
    """The type of a model's `corruption` argument, finished with the data's spec."""

    def __call__(self, *, spec: DataSpec) -> Corruption: ...


def ends(spec: DataSpec) -> tuple[float, float]:
    """The lowest and the highest model value of bounded data."""
    return spec.kind.ends or (0.0, 0.0)


class GaussianNoise(Corruption):
    """x̃ = x + σ ε; it may leave the data's range.

    Arguments:
        spec: The data.
        sigma: σ, in model units.
    """

    def __init__(self, *, spec: DataSpec, sigma: PositiveFloat = 0.5) -> None:
        super().__init__(spec=spec)
        self.sigma = sigma

    def __call__(self, x: Tensor) -> Tensor:
        return x + self.sigma * normal_like(x)


class Masking(Corruption):
    """Every value is lost with the given probability: it becomes the lowest one, 0 where the data is unbounded.

    Arguments:
        spec: The data.
        probability: Share of the values that are lost.
    """

    def __init__(self, *, spec: DataSpec, probability: Probability = 0.3) -> None:
        super().__init__(spec=spec)
        self.probability = probability

    def __call__(self, x: Tensor) -> Tensor:
        return x.masked_fill(uniform_like(x) < self.probability, ends(self.spec)[0])


class SaltAndPepper(Corruption):
    """With the given probability a value becomes the lowest or the highest one, each as likely.

    Raises ConfigError for unbounded data, which has no such values.

    Arguments:
        spec: The data.
        probability: Share of the values that are replaced.
    """

    def __init__(self, *, spec: DataSpec, probability: Probability = 0.2) -> None:
        super().__init__(spec=spec)
        if spec.value_range is None:
            raise ConfigError("model.corruption: SaltAndPepper needs bounded data; use GaussianNoise or Masking")
        self.probability = probability

    def __call__(self, x: Tensor) -> Tensor:
        low, high = ends(self.spec)
        u = uniform_like(x)
        x = x.masked_fill(u < self.probability / 2, low)
        return x.masked_fill(u > 1 - self.probability / 2, high)
