r"""Strided convolutions without pooling, as in DCGAN: each layer halves, or doubles, the resolution.

Encoder: 4x4 convolutions of stride 2, leaky ReLU, no normalisation, so that a discriminator's slope stays what its
weights make it; with `encoder_batch_norm`, as in DCGAN, every layer but the first is normalised over the batch.
Decoder: a linear layer to the smallest map, 4x4 transposed convolutions of stride 2, each followed by a normalisation
and ReLU. That is of groups of channels, which leaves the examples of a batch apart, or with `batch_norm`, as in DCGAN,
of each channel over the batch: a generator's examples are then told apart by their differences alone, whatever they
have in common, and it collapses less. Samples are normalised by running means, each by itself. A label adds E e to
every layer before its nonlinearity. With `attention`, the map of the second lowest resolution attends to itself
(SAGAN). With `init_std`, as in DCGAN, all convolutions begin with weights of one spread: those beside
the image, whose fans are small, else begin four times as large, and at one rate learn so much more slowly.

Odd sizes are rounded up on the way down and cropped on the way up.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import gcd, prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from genkit.component import PositiveFloat, Width
from genkit.errors import ConfigError
from genkit.nn.attention import SelfAttention2d
from genkit.nn.backbone import Backbone
from genkit.nn.conv import CHANNELS, pyramid
from genkit.nn.embedding import condition_embedding

SMALLEST = 2
SLOPE = 0.2  # of the leaky ReLU
GROUPS = 8


class GatedAttention2d(SelfAttention2d):
    """x + g · attention(x) over the H·W positions, (B, C, H, W) to itself, g learned from 0.

    No weight is zero as a whole, which spectral normalisation needs, and nothing hides the scale of x.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.norm = nn.Identity()  # type: ignore[assignment]
        self.out.reset_parameters()
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):  # the fast ones have no second derivative, which penalties need
            return x + self.gate * (super().forward(x) - x)


def norm_of(channels: int, batch_norm: bool) -> nn.Module:
    return nn.BatchNorm2d(channels) if batch_norm else nn.GroupNorm(gcd(GROUPS, channels), channels)


class StridedLayer(nn.Module):
    """One convolution (B, C, H, W) to (B, C', H', W'), normalised, the label's E e (B, F) added."""

    def __init__(self, conv: nn.Module, channels: int, condition: int | None, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm
        self.condition = nn.Linear(condition, channels) if condition else None

    def forward(self, h: Tensor, e: Tensor | None) -> Tensor:
        h = self.norm(self.conv(h))
        return h if self.condition is None else h + self.condition(e)[:, :, None, None]


class StridedEncoder(nn.Module):
    """(B, C, H, W) to (B, features) down the pyramid `sizes`, `channels` wide below full size."""

    def __init__(
        self,
        in_channels: int,
        features: int,
        sizes: list[tuple[int, int]],
        channels: Sequence[int],
        condition: int | None,
        attention: bool,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        widths = [in_channels, *channels]
        norms = [nn.BatchNorm2d(b) if batch_norm and i else nn.Identity() for i, b in enumerate(channels)]
        self.layers = nn.ModuleList(
            StridedLayer(nn.Conv2d(a, b, 4, stride=2, padding=1), b, condition, norm)
            for a, b, norm in zip(widths[:-1], channels, norms, strict=True)
        )
        self.attend_at = max(0, len(channels) - 2)
        self.attention = GatedAttention2d(channels[self.attend_at]) if attention else nn.Identity()
        self.last = nn.Linear(channels[-1] * prod(sizes[-1]), features)

    def forward(self, x: Tensor, e: Tensor | None) -> Tensor:
        h = x
        for i, layer in enumerate(self.layers):
            h = F.pad(h, (0, h.shape[3] % 2, 0, h.shape[2] % 2))
            h = F.leaky_relu(layer(h, e), SLOPE)
            if i == self.attend_at:
                h = self.attention(h)
        return self.last(h.flatten(1))


class StridedDecoder(nn.Module):
    """(B, features) to (B, C, H, W) up the pyramid `sizes`, `channels` wide below full size."""

    def __init__(
        self,
        features: int,
        out_channels: int,
        sizes: list[tuple[int, int]],
        channels: Sequence[int],
        condition: int | None,
        attention: bool,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        widths = list(channels)[::-1]  # coarse to fine
        self.sizes = sizes[::-1]
        self.first = StridedLayer(
            nn.Sequential(
                nn.Linear(features, widths[0] * prod(self.sizes[0])), nn.Unflatten(1, (widths[0], *self.sizes[0]))
            ),
            widths[0],
            condition,
            norm_of(widths[0], batch_norm),
        )
        self.layers = nn.ModuleList(
            StridedLayer(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1), b, condition, norm_of(b, batch_norm))
            for a, b in pairwise(widths)
        )
        self.attend_at = min(1, len(channels) - 1)
        self.attention = GatedAttention2d(widths[self.attend_at]) if attention else nn.Identity()
        self.last = nn.ConvTranspose2d(widths[-1], out_channels, 4, stride=2, padding=1)

    def forward(self, z: Tensor, e: Tensor | None) -> Tensor:
        h = z
        for i, (layer, (height, width)) in enumerate(zip([self.first, *self.layers], self.sizes[:-1], strict=True)):
            h = F.relu(layer(h, e))[..., :height, :width]
            if i == self.attend_at:
                h = self.attention(h)
        height, width = self.sizes[-1]
        return self.last(h)[..., :height, :width]


def _redrawn(net: StridedEncoder | StridedDecoder, std: float) -> None:
    """Draw the weights of all strided layers, and of a decoder's last one, from N(0, std²)."""
    layers = [layer.conv for layer in net.modules() if isinstance(layer, StridedLayer)]
    for layer in layers + [net.last] * isinstance(net, StridedDecoder):
        for part in layer.modules():
            if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(part.weight, 0.0, std)


class StridedConv(Backbone):
    """Strided convolutional encoder (image to vector) or decoder (vector to image), chosen by the shapes.

    References: DCGAN (Radford et al. 2015, 1511.06434); attention as in SAGAN (Zhang et al. 2018, 1805.08318).

    Arguments:
        in_shape, out_shape: One of them (C, H, W) with sides of at least 3, the other (D,).
        num_classes: Number of labels, None without labels.
        time: Must be False: this network takes no time.
        channels: Width per halving, finest first; halvings below 2x2 are left out.
        attention: Self-attention at the second lowest resolution; its width must then be a multiple of 8.
        batch_norm: Whether a decoder normalises over the batch; else over groups of channels. Several processes, and
            micro-batches, normalise over their own part while they train.
        encoder_batch_norm: Whether an encoder normalises over the batch; else not at all.
        init_std: Standard deviation of the normal that the weights of all of a decoder's layers, and of an encoder's
            but the last, are drawn from; None: torch's own, by the fan.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
        channels: tuple[Width, ...] = CHANNELS,
        attention: bool = False,
        batch_norm: bool = False,
        encoder_batch_norm: bool = False,
        init_std: PositiveFloat | None = None,
    ) -> None:
        super().__init__()
        image = in_shape if len(in_shape) == 3 else out_shape
        if (len(in_shape), len(out_shape)) not in {(3, 1), (1, 3)} or time or min(image[1:]) < 2 * SMALLEST - 1:
            raise ConfigError(
                f"backbone=strided_conv maps an image of at least 3x3 to a vector or back without a time, not "
                f"{in_shape} to {out_shape}: use backbone=unet (image to image) or backbone=mlp"
            )
        if not channels:
            raise ConfigError("backbone.channels=[]: a convolutional network needs a width for one level at least")
        sizes = pyramid(image[1], image[2], len(channels) + 1, SMALLEST)
        channels = tuple(channels[: len(sizes) - 1])
        if attention and (width := channels[max(0, len(channels) - 2)]) % 8:
            raise ConfigError(f"backbone.channels: self-attention needs a multiple of 8 channels, not {width}")
        condition = channels[-1] if num_classes is not None else None
        self.embedding = condition_embedding(channels[-1], num_classes, time=False)
        self.net: StridedEncoder | StridedDecoder
        if len(in_shape) == 3:
            shape = (in_shape[0], out_shape[0])
            self.net = StridedEncoder(*shape, sizes, channels, condition, attention, encoder_batch_norm)
        else:
            self.net = StridedDecoder(in_shape[0], out_shape[0], sizes, channels, condition, attention, batch_norm)

        if init_std is not None:
            _redrawn(self.net, init_std)

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        return self.net(x, self.embedding(t, y) if self.embedding is not None else None)
