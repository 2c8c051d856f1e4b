r"""A small residual convolutional network that keeps the resolution: image to image of the same height and width.

.. math:: h_0 = C x + p + E y, \quad h_{k+1} = h_k + W_k\, s(C_k\, s(h_k)), \quad f = W' s(h_K)

with 3x3 convolutions C, 1x1 convolutions W, s = SiLU, a table E of labels, and a learned value p for every position:
convolutions see borders only, but what a pixel looks like depends on where it is. No normalisation layers, so an
output depends on its own example alone.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Width
from genkit.errors import ConfigError
from genkit.nn.backbone import Backbone


class ResidualConvLayer(nn.Module):
    """h + W s(C s(h)), (B, width, H, W) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 1)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(F.silu(self.first(F.silu(h))))


class ResidualConv(Backbone):
    """Residual convolutional network at one resolution.

    Arguments:
        in_shape, out_shape: (C, H, W) and (C', H, W).
        num_classes: Number of labels, None without labels.
        time: Must be False: this network takes no time.
        width: Hidden channels.
        depth: Residual layers; each sees one pixel further.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
        width: Width = 32,
        depth: Depth = 2,
    ) -> None:
        super().__init__()
        if len(in_shape) != 3 or len(out_shape) != 3 or in_shape[1:] != out_shape[1:] or time:
            raise ConfigError(
                f"backbone=residual_conv maps an image to one of the same size without a time, not {in_shape} to "
                f"{out_shape}: use backbone=unet or backbone=mlp"
            )
        self.first = nn.Conv2d(in_shape[0], width, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(width, *in_shape[1:]))
        self.label = None if num_classes is None else nn.Embedding(num_classes, width)
        self.layers = nn.ModuleList(ResidualConvLayer(width) for _ in range(depth))
        self.last = nn.Conv2d(width, out_shape[0], 1)

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        h = self.first(x) + self.position
        if self.label is not None:
            if y is None:
                raise ValueError("this network was built with labels: it needs y")
            h = h + self.label(y)[:, :, None, None]
        for layer in self.layers:
            h = layer(h)
        return self.last(F.silu(h))
