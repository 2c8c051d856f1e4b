r"""Row LSTM: an image read row by row by long short-term memory whose state is a row of cells.

.. math:: a_i = K_{is} * x_i + K_{ss} * h_{i-1}, \qquad
          c_i = \sigma(a^f) \odot c_{i-1} + \sigma(a^i) \odot \tanh(a^g), \qquad h_i = \sigma(a^o) \odot \tanh(c_i)

x_i are features of row i, in which a pixel has seen those to its left and a window of rows above; K_is looks to the
left in the row, K_ss to both sides in the row above, whose cells have seen nothing that comes later (van den Oord et
al. 2016, 1601.06759). A pixel so depends on a triangle that widens upwards, which is all of the past where the first
window is as wide as the image. Each layer is added to what it reads.

Rows take turns, so training is slower than that of a PixelCNN, whose layers see a window but all rows at once. A
sequence or a vector is an image of one column, and this then a plain LSTM.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Range, Width
from genkit.nn.dropout import Dropout
from genkit.nn.lstm import OPEN
from genkit.nn.pixel_cnn import CHANNELS, DROPOUT, WINDOW, Above, Kernel, Left, check_windows
from genkit.nn.pixel_network import PixelNetwork, PixelState


@dataclass
class Rows:
    """State that sampling keeps, of n images with rows of W pixels.

    Attributes:
        above: What the first convolution looks back on, (n, features, rows, W).
        entry: What it says of this row, (n, features, W).
        left: What the convolutions to the left look back on, (n, features, columns) of the first and of each layer.
        told: What labels and the row above say to the gates of each layer, (n, 4 features, W).
        cells: Cells of each layer in the row above, (n, features, W).
        passed: Outputs and cells of each layer in this row so far, each (n, features).
        label: What labels say to the gates of each layer, (n, 4 features, 1), or 0.
    """

    above: Tensor
    label: list[Tensor | float]
    entry: Tensor = field(default_factory=Tensor)
    left: list[Tensor] = field(default_factory=list)
    told: list[Tensor] = field(default_factory=list)
    cells: list[Tensor] = field(default_factory=list)
    passed: list[list[tuple[Tensor, Tensor]]] = field(default_factory=list)


class RowLSTMLayer(nn.Module):
    """One layer, (B, features, H, W) to the same."""

    def __init__(self, features: int, kernel: int, num_classes: int | None, dropout: float) -> None:
        super().__init__()
        self.horizontal = Left(features, 4 * features, kernel // 2)
        self.above = nn.Conv1d(features, 4 * features, kernel, padding=kernel // 2, bias=False)
        self.out = nn.Conv2d(features, features, 1)
        self.label = None if num_classes is None else nn.Linear(features, 4 * features, bias=False)
        self.dropout = Dropout(dropout)
        with torch.no_grad():
            assert self.horizontal.bias is not None
            self.horizontal.bias[:features] = OPEN

    def forward(self, x: Tensor, start: Tensor | None) -> Tensor:
        a, label = self.horizontal(x), self.labelled(start)
        h = c = x.new_zeros(len(x), x.shape[1], x.shape[3])
        rows = []
        for i in range(x.shape[2]):
            h, c = gates(a[:, :, i] + self.above(h) + label, c)
            rows.append(h)
        return x + self.dropout(self.out(torch.stack(rows, dim=2)))

    def labelled(self, start: Tensor | None) -> Tensor | float:
        """Shares of the labels in the gates of a row, (n, 4 features, 1)."""
        return 0.0 if self.label is None or start is None else self.label(start)[:, :, None]

    def pixel(self, x: Tensor, left: Tensor, told: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The next pixel (n, features): what follows it, what is kept to the left, and its output and cell."""
        a, left = self.horizontal.step(x, left)
        h, c = gates(a + told, cell)
        return x + F.linear(h, self.out.weight.flatten(1), self.out.bias), left, h, c


def gates(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Output and cell after the gates' arguments a (n, 4 features, …), forget, input, candidate, output, and a cell."""
    f, i, g, o = a.chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


class PixelRNN(PixelNetwork):
    """Row LSTM.

    Arguments:
        shape, inputs, outputs, num_classes: See `SequenceNetwork`.
        features: Channels.
        depth: Layers.
        kernel: Columns of a layer's window in the row above, odd; in its own it sees the left half and the pixel.
        first_kernel: Rows and columns of the first window before those that come later are left out of it, odd.
        dropout: Share that training drops of the layers' outputs.

    Raises:
        ConfigError: a window of an even size, or a first one of 1, which would see nothing.

    References: Pixel Recurrent Neural Networks (van den Oord et al. 2016, 1601.06759).
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        inputs: int,
        outputs: int,
        num_classes: int | None,
        features: Width = CHANNELS,
        depth: Depth = 3,
        kernel: Kernel = WINDOW,
        first_kernel: Annotated[int, Range(3, 63)] = 7,
        dropout: Annotated[float, Range(0.0, 0.9)] = DROPOUT,
    ) -> None:
        super().__init__(shape=shape, inputs=inputs, outputs=outputs, num_classes=num_classes, features=features)
        check_windows(kernel=kernel, first_kernel=first_kernel)
        reach = first_kernel // 2
        self.vertical, self.horizontal = (
            Above(features, features, reach - 1, reach),
            Left(features, features, reach - 1),
        )
        self.place = nn.Parameter(0.1 * torch.randn(features, self.rows, self.columns))
        self.layers = nn.ModuleList(RowLSTMLayer(features, kernel, num_classes, dropout) for _ in range(depth))
        self.finish()

    def sides_of(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Channels, rows and columns of an example's shape; a sequence is a column."""
        return shape if len(shape) == 3 else (1, shape[0], 1)

    def body(self, x: Tensor, start: Tensor | None) -> Tensor:
        h = self.vertical(F.pad(x, (0, 0, 1, 0))[:, :, :-1]) + self.place
        h = h + self.horizontal(F.pad(x, (1, 0))[:, :, :, :-1])
        for layer in self.layers:
            h = layer(h, start)
        return h

    def nothing(self, n: int, start: Tensor | None) -> Rows:
        above = self.vertical.nothing(n, self.columns)
        return Rows(above, [layer.labelled(start) for layer in self.layers])  # type: ignore[operator]

    def next_row(self, above: Tensor, state: PixelState) -> None:
        kept: Rows = state.body
        entry, kept.above = self.vertical.step(above, kept.above)
        kept.entry = entry + self.place[:, state.row]
        kept.left = [part.horizontal.nothing(len(above)) for part in (self, *self.layers)]
        if kept.passed:
            hidden, kept.cells = (
                [torch.stack([pixel[number] for pixel in layer], dim=2) for layer in kept.passed] for number in (0, 1)
            )
        else:
            hidden = kept.cells = [torch.zeros_like(kept.entry) for _ in self.layers]
        kept.told = [
            layer.above(h) + label  # type: ignore[operator]
            for layer, h, label in zip(self.layers, hidden, kept.label, strict=True)
        ]
        kept.passed = [[] for _ in self.layers]

    def next_pixel(self, before: Tensor, state: PixelState) -> Tensor:
        kept: Rows = state.body
        j = len(state.pixels)
        x, kept.left[0] = self.horizontal.step(before, kept.left[0])
        x = x + kept.entry[:, :, j]
        for k, layer in enumerate(self.layers):
            told, cell = kept.told[k][:, :, j], kept.cells[k][:, :, j]
            x, kept.left[k + 1], h, c = layer.pixel(x, kept.left[k + 1], told, cell)  # type: ignore[operator]
            kept.passed[k].append((h, c))
        return x
