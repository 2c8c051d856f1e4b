"""The contract of every network: a map between two shapes that the data dictates, with optional time and label.

    f(x, t=None, y=None): (B, *in_shape) -> (B, *out_shape)

A model asks for a network by its two shapes and never names a class, so one `backbone=` choice serves a denoiser
(image to image), an encoder (image to vector), a decoder (vector to image) and a discriminator (image to one number).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

from torch import Tensor, nn

from genkit.component import Component


class Backbone(nn.Module, Component, ABC):
    """A network between two shapes.

    Subclasses take the keyword arguments `in_shape`, `out_shape`, `num_classes` (None: unlabelled) and `time` (True:
    `t` is given) from the model, and their own widths and depths from the configuration. A subclass that cannot map
    between the shapes raises ConfigError, naming one that can.
    """

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        """(B, *in_shape), t (B,), y (B,) int64 to (B, *out_shape)."""


class Differentiates:
    """A module which trains on derivatives of its networks, by forward mode or twice backward: they stay uncompiled."""


def networks(module: nn.Module) -> Iterator[Backbone]:
    """The networks of a module, outermost ones alone, without those of a module that `Differentiates`."""
    for child in module.children():
        if isinstance(child, Backbone):
            yield child
        elif not isinstance(child, Differentiates):
            yield from networks(child)


class BackboneFactory(Protocol):
    """A model's `backbone` argument: a network of which all but the shapes is chosen."""

    def __call__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
    ) -> Backbone: ...
