r"""Gated PixelCNN: each pixel given all pixels above it and to its left, by convolutions that see nothing else.

Two stacks of features stand over the image (van den Oord et al. 2016, 1606.05328):

* the *vertical* one at (i, j) has seen rows above i alone, a triangle of them that widens upwards;
* the *horizontal* one has seen columns before j of row i, and takes up the vertical one in every layer.

.. math:: a = V * v + L y, \quad b = H * h + D a, \qquad
          v \leftarrow \tanh a_1 \odot \sigma(a_2), \quad h \leftarrow h + U (\tanh b_1 \odot \sigma(b_2))

Together they see all of the past where the layers suffice; a single stack of masked convolutions never sees a wedge to
the right of each pixel. The first layer reads the image moved by one row and by one column, so that no convolution
needs a mask. How pixels enter and what scores their channels is in `genkit.nn.pixel_network`.

While sampling, a pixel costs one column of the horizontal stack, and a finished row one row of the vertical stack; what
the convolutions look back on is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Range, Width
from genkit.errors import ConfigError
from genkit.nn.dropout import Dropout
from genkit.nn.pixel_network import PixelNetwork, PixelState

Kernel = Annotated[int, Range(1, 63)]
CHANNELS, LAYERS = 32, 6  # tuned on the digits
WINDOW, FIRST_WINDOW = 3, 5
DROPOUT = 0.1


@dataclass
class Stacks:
    """Parts of both stacks that sampling keeps, of n images with rows of W pixels.

    Attributes:
        label: What labels add to the vertical stack of each layer, (n, 2 features, 1), or 0.
        above: What the vertical convolution of each layer looks back on, (n, features, rows, W).
        left: What the horizontal one looks back on, (n, features, columns).
        down: What the vertical stack says to the horizontal one of each layer in this row, (n, 2 features, W).
    """

    label: list[Tensor | float]
    above: list[Tensor]
    left: list[Tensor] = field(default_factory=list)
    down: list[Tensor] = field(default_factory=list)


class Above(nn.Conv2d):
    """Convolution over `rows` rows before a pixel's own, this row, and `side` columns on both sides."""

    def __init__(self, features: int, outputs: int, rows: int, side: int) -> None:
        super().__init__(features, outputs, (rows + 1, 2 * side + 1))
        self.rows, self.side = rows, side

    def forward(self, v: Tensor) -> Tensor:
        return super().forward(F.pad(v, (self.side, self.side, self.rows, 0)))

    def nothing(self, n: int, columns: int) -> Tensor:
        """Zeros to look back on in the first row of n images, (n, features, rows, columns)."""
        return self.weight.new_zeros(n, self.in_channels, self.rows, columns)

    def step(self, row: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
        """The next row (n, features, W): its outputs (n, outputs, W), and what the row after it looks back on."""
        window = torch.cat((above, row[:, :, None]), dim=2)
        return super().forward(F.pad(window, (self.side, self.side)))[:, :, 0], window[:, :, 1:]


class Left(nn.Conv2d):
    """Convolution over `columns` pixels before a pixel and itself."""

    def __init__(self, features: int, outputs: int, columns: int) -> None:
        super().__init__(features, outputs, (1, columns + 1))
        self.columns = columns

    def forward(self, h: Tensor) -> Tensor:
        return super().forward(F.pad(h, (self.columns, 0)))

    def nothing(self, n: int) -> Tensor:
        """Zeros to look back on in the first column of n images, (n, features, columns)."""
        return self.weight.new_zeros(n, self.in_channels, self.columns)

    def step(self, pixel: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
        """The next pixel (n, features): its outputs (n, outputs), and what the pixel after it looks back on."""
        window = torch.cat((left, pixel[:, :, None]), dim=2)
        return F.linear(window.flatten(1), self.weight.flatten(1), self.bias), window[:, :, 1:]


class GatedLayer(nn.Module):
    """Both stacks one layer further, (B, features, H, W) each."""

    def __init__(self, features: int, reach: int, num_classes: int | None, dropout: float) -> None:
        super().__init__()
        self.vertical = Above(features, 2 * features, reach, reach)
        self.horizontal = Left(features, 2 * features, reach)
        self.down = nn.Conv2d(2 * features, 2 * features, 1)
        self.out = nn.Conv2d(features, features, 1)
        self.label = None if num_classes is None else nn.Linear(features, 2 * features, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, v: Tensor, h: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor]:
        a = self.vertical(v)
        if self.label is not None and start is not None:
            a = a + self.label(start)[:, :, None, None]
        b = self.horizontal(h) + self.down(a)
        return gated(a), h + self.dropout(self.out(gated(b)))

    def labelled(self, start: Tensor | None) -> Tensor | float:
        """Shares of the labels in a row of the vertical stack, (n, 2 features, 1)."""
        return 0.0 if self.label is None or start is None else self.label(start)[:, :, None]

    def row(self, v: Tensor, above: Tensor, label: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """The vertical stack in the next row, (n, features, W): there, what it says, and what is kept."""
        a, above = self.vertical.step(v, above)
        a = a + label
        return gated(a), self.down(a[:, :, None])[:, :, 0], above

    def pixel(self, h: Tensor, left: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """The horizontal stack at the next pixel, (n, features), and what is kept."""
        b, left = self.horizontal.step(h, left)
        return h + F.linear(gated(b + told), self.out.weight.flatten(1), self.out.bias), left


def gated(a: Tensor) -> Tensor:
    """tanh of the first half of the channels times the sigmoid of the second."""
    value, gate = a.chunk(2, dim=1)
    return torch.tanh(value) * torch.sigmoid(gate)


class PixelCNN(PixelNetwork):
    """Gated PixelCNN.

    Arguments:
        shape, inputs, outputs, num_classes: See `SequenceNetwork`.
        features: Channels of each stack.
        depth: Gated layers.
        kernel: Rows and columns of a layer's window before those that come later are left out of it, odd.
        first_kernel: The same of the first layer.
        dropout: Share that training drops of the layers' outputs.

    Raises:
        ConfigError: a window of an even size, or a first one of 1, which would see nothing.

    References: van den Oord et al. 2016, 1606.05328.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        inputs: int,
        outputs: int,
        num_classes: int | None,
        features: Width = CHANNELS,
        depth: Depth = LAYERS,
        kernel: Kernel = WINDOW,
        first_kernel: Annotated[int, Range(3, 63)] = FIRST_WINDOW,
        dropout: Annotated[float, Range(0.0, 0.9)] = DROPOUT,
    ) -> None:
        super().__init__(shape=shape, inputs=inputs, outputs=outputs, num_classes=num_classes, features=features)
        check_windows(kernel=kernel, first_kernel=first_kernel)
        reach = first_kernel // 2
        self.vertical, self.horizontal = (
            Above(features, features, reach - 1, reach),
            Left(features, features, reach - 1),
        )
        self.place = nn.Parameter(0.1 * torch.randn(2, features, self.rows, self.columns))  # of the two stacks
        self.layers = nn.ModuleList(GatedLayer(features, kernel // 2, num_classes, dropout) for _ in range(depth))
        self.finish()

    def body(self, x: Tensor, start: Tensor | None) -> Tensor:
        v = self.vertical(F.pad(x, (0, 0, 1, 0))[:, :, :-1]) + self.place[0]
        h = self.horizontal(F.pad(x, (1, 0))[:, :, :, :-1]) + self.place[1]
        for layer in self.layers:
            v, h = layer(v, h, start)
        return h

    def nothing(self, n: int, start: Tensor | None) -> Stacks:
        above = [part.vertical.nothing(n, self.columns) for part in (self, *self.layers)]
        return Stacks([layer.labelled(start) for layer in self.layers], above)  # type: ignore[operator]

    def next_row(self, above: Tensor, state: PixelState) -> None:
        kept: Stacks = state.body
        v, kept.above[0] = self.vertical.step(above, kept.above[0])
        v = v + self.place[0, :, state.row]
        kept.down.clear()
        for k, layer in enumerate(self.layers):
            v, told, kept.above[k + 1] = layer.row(v, kept.above[k + 1], kept.label[k])  # type: ignore[operator]
            kept.down.append(told)
        kept.left = [part.horizontal.nothing(len(above)) for part in (self, *self.layers)]

    def next_pixel(self, before: Tensor, state: PixelState) -> Tensor:
        kept: Stacks = state.body
        j = len(state.pixels)
        h, kept.left[0] = self.horizontal.step(before, kept.left[0])
        h = h + self.place[1, :, state.row, j]
        for k, layer in enumerate(self.layers):
            h, kept.left[k + 1] = layer.pixel(h, kept.left[k + 1], kept.down[k][:, :, j])  # type: ignore[operator]
        return h


def check_windows(**sizes: int) -> None:
    """Raises ConfigError for a window of an even size."""
    for name, size in sizes.items():
        if size % 2 == 0:
            raise ConfigError(f"network.{name}={size}: windows have an odd size, such as {size + 1}")
