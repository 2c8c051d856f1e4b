"""The contract of every network that finds hidden tokens: the scores of each place, given what is seen of all.

    f(tokens, y): (B, T) int64 -> (B, T, outputs)

One of the tokens that it reads says that a place is hidden. A model asks for a network by the shape of the data and the
number of tokens, and never names a class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from torch import Tensor, nn

from genkit.component import Component


class BidirectionalNetwork(nn.Module, Component, ABC):
    """A network over T tokens in which every place sees every other.

    Subclasses take the keyword arguments `shape` (of an example: (T,), (D,) or (C, H, W), whose values come row by row,
    the channels of a pixel together), `inputs` and `outputs` (tokens that it reads, and of those the first ones that it
    gives scores to), `num_classes` (None: unlabelled) and `together` (tokens that follow each other and are best read
    as one place: 1, or the C of an image), and their own widths and depths from the configuration.
    """

    @abstractmethod
    def forward(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        """Tokens (B, T) and labels (B,) to scores (B, T, outputs) of the tokens at each place."""


class BidirectionalNetworkFactory(Protocol):
    """A model's `network` argument: a network of which all but the data is chosen."""

    def __call__(
        self, *, shape: tuple[int, ...], inputs: int, outputs: int, num_classes: int | None, together: int
    ) -> BidirectionalNetwork: ...
