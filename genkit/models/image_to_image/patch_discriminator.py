"""A discriminator of patches (PatchGAN; Isola et al. 2016, 1611.07004): a logit for each overlapping patch of an image
instead of one for all of it.

What is right at large is left to a loss between pixels; the discriminator judges texture, with few weights and on
images of any size. 4x4 convolutions of stride 2 while the maps are large enough, else 3x3 of stride 1; leaky ReLU; no
normalisation, so that the examples of a batch stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from genkit.component import Width

SLOPE = 0.2  # of the leaky ReLU
CHANNELS = (32, 64)  # widths of the layers, of small images
SMALLEST = 4  # pixels across a map, down to which resolution is halved


class PatchDiscriminator(nn.Module):
    """Images (B, C, H, W) to logits (B, P), one for each patch.

    Args:
        shape: (C, H, W).
        channels: Widths of the layers of stride 2; those that would leave maps of fewer than four pixels have stride 1.
    """

    def __init__(self, shape: tuple[int, ...], channels: Sequence[Width]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width, side = shape[0], min(shape[1:])
        for out in channels:
            halved = side // 2 >= SMALLEST
            layers += [nn.Conv2d(width, out, 4 if halved else 3, 2 if halved else 1, 1), nn.LeakyReLU(SLOPE)]
            width, side = out, side // 2 if halved else side
        layers.append(nn.Conv2d(width, 1, 3, 1, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)
