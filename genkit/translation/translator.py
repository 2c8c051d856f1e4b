"""The contract of translations: examples of one domain in, examples of another one out.

A translation is built on what it needs of a model — a denoiser, a bijection — whose labels are fixed already, so that
it knows neither of models nor of classes. Where it leads through a latent that two domains have in common it is a
`Bridge`: the same with source and target exchanged is the way back.
"""

from abc import ABC, abstractmethod

from torch import Tensor

from genkit.component import Component
from genkit.noise import Noise


class Translator(Component, ABC):
    """Maps examples of one domain to another.

    Attributes:
        words: How, for titles: "at strength 0.5".
    """

    @property
    @abstractmethod
    def words(self) -> str: ...

    @abstractmethod
    def __call__(self, x: Tensor, noise: Noise) -> Tensor:
        """x (B, *shape) to (B, *shape), both in model units.

        Args:
            x: The examples.
            noise: Source of the randomness, a row for each example; a bridge asks for none.
        """


class Bridge(Translator):
    """A translation that is one-to-one: to a latent by the model of the source, and from it by that of the target."""
