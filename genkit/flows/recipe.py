r"""Recipes: how the layers of a flow are put together for some data, and what its latents follow.

A recipe is a choice of the configuration (`model.transform`). It knows its own sizes; the data's shape and range reach
it with the spec, so one recipe serves vectors of any length and images of any size that it can halve.

    make(spec, num_classes) -> Bijection(transform, prior)

`transform` maps (B, *spec.shape) to latents (B, D) and holds everything that the density needs, the map from the
pixel range onto the latents' own space included: its Jacobian is in the log-determinant like any other.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

from genkit.component import Component
from genkit.data.spec import DataSpec, Takes
from genkit.errors import ConfigError
from genkit.flows.prior import BaseDistribution
from genkit.flows.transform import Logit, Reshape, Transform

# How near the pixels' ends come to infinity: a level of 256 is wider than that, so that none of them is pressed flat.
ALPHA = 1e-3


class Bijection(NamedTuple):
    """(B, *shape) to latents (B, D), and the distribution of these."""

    transform: Transform
    prior: BaseDistribution


class Recipe(Component, Takes, ABC):
    """Puts a flow together. Stateless: every call of `make` builds new layers.

    Class attributes:
        modalities, kinds: Data that it can serve (see `Takes`); anything else is refused.
    """

    @abstractmethod
    def layers(self, spec: DataSpec, num_classes: int | None) -> Bijection:
        """The flow of data that is known to be of one of the modalities."""

    def make(self, spec: DataSpec, num_classes: int | None) -> Bijection:
        """The flow of `spec`, conditioned on `num_classes` labels (None: on none).

        Raises:
            ConfigError: data of another modality, images without a range or of a size that does not fit.
        """
        if reason := self.unfit(spec):
            raise ConfigError(f"model.transform: {type(self).__name__} serves {reason}: choose another model=")
        if spec.modality == "image" and spec.value_range is None:
            raise ConfigError("the flow on images needs pixels with a value range: give the data spec a value_range")
        return self.layers(spec, num_classes)


class ByModality(Recipe):
    """One recipe for vectors, another for images.

    Arguments:
        vector, image: The recipes.
    """

    def __init__(self, vector: Recipe, image: Recipe) -> None:
        self.vector, self.image = vector, image

    def layers(self, spec: DataSpec, num_classes: int | None) -> Bijection:
        return (self.vector if spec.modality == "vector" else self.image).make(spec, num_classes)


def unbounded(spec: DataSpec) -> list[Transform]:
    """From the data's own range to the real line: nothing where it is unbounded already."""
    return [] if spec.value_range is None else [Logit(*spec.value_range, ALPHA)]


def flattened(spec: DataSpec) -> list[Transform]:
    """From the data's shape to vectors (B, D)."""
    return [] if len(spec.shape) == 1 else [Reshape(spec.shape, (spec.dim,))]
