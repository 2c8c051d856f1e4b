"""Causal networks that read an image pixel by pixel: what they share, whatever stands between pixels and scores.

A pixel enters as the sum of learned vectors of its channels' levels, at first linear in the level. A body makes
features of each pixel from the pixels above it and to its left, and the channels of a pixel are scored one after the
other, by a small network for each that reads the channels before it. A sequence or a vector is an image of one row.

While sampling, the body keeps what it looks back on: it is told when a row begins, and then pixel by pixel.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.nn.sequence_network import SequenceNetwork, StartTokens, start_linear


@dataclass
class PixelState:
    """State that sampling keeps, of n images with rows of W pixels.

    Attributes:
        body: What the body looks back on.
        row: Number of this row.
        pixels: Embedded pixels of this row so far, each (n, features).
        channels: Levels of the channels of this pixel so far, each (n,).
        h: Features at this pixel, (n, features).
    """

    body: Any
    row: int = -1
    pixels: list[Tensor] = field(default_factory=list)
    channels: list[Tensor] = field(default_factory=list)
    h: Tensor = field(default_factory=Tensor)


class ChannelHead(nn.Module):
    """Scores of one channel of a pixel, by the features (…, features) there and the channels before it.

    Arguments:
        features: Width.
        outputs: Number of scores.
        first: Whether no channel comes before this one.
    """

    def __init__(self, features: int, outputs: int, first: bool) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, features)
        self.before = None if first else nn.Linear(features, features, bias=False)
        self.out = nn.Linear(features, outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, h: Tensor, before: Tensor | None) -> Tensor:
        a = self.hidden(F.relu(h))
        if self.before is not None and before is not None:
            a = a + self.before(before)
        return self.out(F.relu(a))


class PixelNetwork(SequenceNetwork):
    """A body between embedded pixels and scores. A subclass builds its body and then calls `finish`.

    Arguments:
        shape, inputs, outputs, num_classes: See `SequenceNetwork`.
        features: Width of an embedded pixel and of the body's features.
    """

    heads: nn.ModuleList

    def __init__(
        self, *, shape: tuple[int, ...], inputs: int, outputs: int, num_classes: int | None, features: int
    ) -> None:
        super().__init__()
        self.channels, self.rows, self.columns = self.sides_of(shape)
        self.inputs, self.outputs, self.features = inputs, outputs, features
        self.levels = nn.Embedding(self.channels * inputs, features)
        self.begin = None if num_classes is None else StartTokens(features, num_classes)

    def sides_of(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Channels, rows and columns of an example's shape."""
        return shape if len(shape) == 3 else (1, 1, shape[0])

    def finish(self) -> None:
        """Make what reads scores off the features."""
        self.heads = nn.ModuleList(ChannelHead(self.features, self.outputs, c == 0) for c in range(self.channels))
        start_linear(self.levels, self.inputs)

    @abstractmethod
    def body(self, x: Tensor, start: Tensor | None) -> Tensor:
        """Features (n, features, H, W) of each pixel, by embedded pixels x that come before it and labels' vectors."""

    @abstractmethod
    def nothing(self, n: int, start: Tensor | None) -> Any:
        """The body's state before the first row of n images."""

    @abstractmethod
    def next_row(self, above: Tensor, state: PixelState) -> None:
        """Let a row begin, by the embedded pixels (n, features, W) of the one above it; zeros before the first."""

    @abstractmethod
    def next_pixel(self, before: Tensor, state: PixelState) -> Tensor:
        """Features (n, features) of the next pixel of a row, by the embedded one to its left; zeros at the first."""

    def scores(self, h: Tensor, levels: Tensor, embedded: Tensor) -> Tensor:
        """Scores (…, outputs) of channel c by the features (…, features) of the pixel and the channels before it.

        Args:
            h: The features.
            levels: Of those channels, (…, c).
            embedded: The same as vectors, (…, c, features).
        """
        c = levels.shape[-1]
        return self.heads[c](h, embedded.sum(-2) if c else None)

    def embedded(self, levels: Tensor) -> Tensor:
        """Levels (…, K) of the first K channels to (…, K, features)."""
        return self.levels(levels + self.inputs * torch.arange(levels.shape[-1], device=levels.device))

    def features_of(self, embedded: Tensor, y: Tensor | None) -> Tensor:
        """Embedded channels (B, H, W, C, features) to the features (B, H, W, features) of each pixel."""
        x = embedded.sum(3).permute(0, 3, 1, 2)
        return self.body(x, self._start(len(x), y)).permute(0, 2, 3, 1)

    def grid_of(self, tokens: Tensor) -> Tensor:
        """Tokens (B, T) to (B, H, W, C)."""
        return tokens.unflatten(1, (self.rows, self.columns, self.channels))

    def forward(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        grid = self.grid_of(tokens)
        embedded = self.embedded(grid)
        h = self.features_of(embedded, y)
        scores = [self.scores(h, grid[..., :c], embedded[..., :c, :]) for c in range(self.channels)]
        return torch.stack(scores, dim=3).flatten(1, 3)

    def start(self, n: int, y: Tensor | None = None) -> tuple[Tensor, PixelState]:
        state = PixelState(self.nothing(n, self._start(n, y)))
        nothing = self.levels.weight.new_zeros(n, self.features)
        self._begin_row(nothing[:, :, None].expand(-1, -1, self.columns), state)
        return self._begin_pixel(nothing, state), state

    def step(self, tokens: Tensor, state: PixelState) -> tuple[Tensor, PixelState]:
        state.channels.append(tokens)
        levels = torch.stack(state.channels, dim=1)
        embedded = self.embedded(levels)
        if len(state.channels) < self.channels:
            return self.scores(state.h, levels, embedded), state
        pixel = embedded.sum(1)
        state.channels.clear()
        state.pixels.append(pixel)
        if len(state.pixels) == self.columns:
            self._begin_row(torch.stack(state.pixels, dim=2), state)
            pixel = torch.zeros_like(pixel)
        return self._begin_pixel(pixel, state), state

    def _start(self, n: int, y: Tensor | None) -> Tensor | None:
        return None if self.begin is None else self.begin(n, y)

    def _begin_row(self, above: Tensor, state: PixelState) -> None:
        state.row += 1
        self.next_row(above, state)
        state.pixels.clear()

    def _begin_pixel(self, before: Tensor, state: PixelState) -> Tensor:
        """Scores (n, outputs) of the first channel of the next pixel, by the one (n, features) to its left."""
        state.h = self.next_pixel(before, state)
        none = torch.empty(len(before), 0, dtype=torch.int64, device=before.device)
        return self.scores(state.h, none, self.embedded(none))
