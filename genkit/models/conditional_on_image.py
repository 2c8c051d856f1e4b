"""The ability to make an image from another one: what paired translation asks of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from genkit.data.spec import Batch, DataSpec, check_values
from genkit.models.base import GenerativeModel
from genkit.noise import Noise

KEPT = 256  # conditions that a model keeps, to draw samples from


class ConditionalOnImage(ABC):
    """Ability: draws from p(x | c), c an image of the same height and width."""

    @abstractmethod
    def from_image(self, c: Tensor, *, noise: Noise) -> Tensor:
        """x (B, *shape) for conditions c (B, *condition), both in model units.

        Args:
            c: The conditions.
            noise: Source of the randomness, a row for each example; a model may ask for none.
        """


class ReturnsImage(ABC):
    """Ability: the way back, from what `from_image` makes to the image that it was made from."""

    @abstractmethod
    def to_image(self, x: Tensor) -> Tensor:
        """c (B, *condition) for images x (B, *shape), both in model units."""


class ImageToImage(GenerativeModel, ConditionalOnImage):
    """A model of paired images, which is sampled from conditions that it keeps.

    A sample that nobody gave a condition for is of one of the first training batch's, drawn at random; so `genkit
    sample`, the pictures of a training and the scores of `genkit eval` are of the images that the model makes of its
    training data's conditions.

    Attributes:
        conditions: (KEPT, *condition) of the first training batch, which are in every checkpoint.
    """

    modalities: ClassVar = ("image",)
    conditions: Tensor

    def __init__(self, spec: DataSpec) -> None:
        """Raises ConfigError for data that is no pairs."""
        super().__init__(spec)
        self.register_buffer("conditions", torch.zeros(KEPT, *self.condition_shape))

    @classmethod
    def unfit(cls, spec: DataSpec) -> str | None:
        if (reason := super().unfit(spec)) is not None:
            return reason
        return None if spec.condition is not None else "pairs of images: give data.pairs=, such as data.pairs=blur"

    @property
    def condition_shape(self) -> tuple[int, ...]:
        """(C, H, W) of a condition."""
        assert self.spec.condition is not None  # see `unfit`
        return self.spec.condition

    def initialise(self, batch: Batch) -> None:
        """Keep conditions of the batch."""
        c = batch["c"]
        self.conditions.copy_(c[torch.arange(KEPT, device=c.device) % len(c)])

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        u = torch.special.ndtr(noise(1).double())[:, 0]
        which = (u * KEPT).long().clamp(max=KEPT - 1)
        return self.from_image(self.conditions[which.to(self.conditions.device)], noise=noise)

    def checked(self, c: Tensor) -> Tensor:
        """The conditions of `from_image`; raises DataError where they are none of this model's."""
        check_values(c, self.condition_shape, "from_image")
        return c
