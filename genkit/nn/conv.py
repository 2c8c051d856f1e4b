r"""Convolutional encoder and decoder: an image to a vector, a vector to an image.

A pyramid of resolutions, each half the one before (rounded up) down to about 4x4; one residual block per level,

.. math:: h + C_2\, s(C_1\, s(h) + E e),

without normalisation layers: they couple the examples of a batch or hide the scale, and a residual net whose last
convolution starts small trains without them (Zhang et al. 2019, Fixup, 1901.09321; Huang et al. 2024, R3GAN,
2501.05441). So the same network serves a likelihood, a latent density and a discriminator under a gradient penalty.
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Width
from genkit.errors import ConfigError
from genkit.nn.backbone import Backbone
from genkit.nn.embedding import condition_embedding
from genkit.nn.fold import fold, fold_of, unfold
from genkit.nn.widths import level_widths

CHANNELS = (32, 64, 128)  # of the levels of a pyramid, each half as wide and high as the one before


class ConvBlock(nn.Module):
    """Residual block (B, C, H, W) to (B, C', H, W), modulated by an embedding e (B, F)."""

    def __init__(self, in_channels: int, out_channels: int, condition: int | None) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        nn.init.normal_(self.second.weight, std=0.1 * (9 * out_channels) ** -0.5)  # starts near the identity
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        self.condition = nn.Linear(condition, out_channels) if condition else None

    def forward(self, h: Tensor, e: Tensor | None) -> Tensor:
        inner = self.first(F.silu(h))
        if self.condition is not None:
            inner = inner + self.condition(e)[:, :, None, None]
        return self.skip(h) + self.second(F.silu(inner))


def pyramid(height: int, width: int, levels: int, smallest: int = 4) -> list[tuple[int, int]]:
    """Resolutions from full size down, halving (rounded up) while both sides stay at least `smallest`."""
    sizes = [(height, width)]
    while len(sizes) < levels and min(sizes[-1]) >= 2 * smallest - 1:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


class ConvEncoder(nn.Module):
    """(B, C, H, W) to (B, features) through the pyramid `sizes`."""

    def __init__(
        self,
        in_channels: int,
        features: int,
        sizes: list[tuple[int, int]],
        channels: Sequence[int],
        condition: int | None,
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        widths = [channels[0], *channels]
        self.blocks = nn.ModuleList(
            ConvBlock(a, b, condition) for a, b in zip(widths[: len(sizes)], channels, strict=False)
        )
        self.sizes = sizes
        self.last = nn.Linear(channels[len(sizes) - 1] * prod(sizes[-1]), features)

    def forward(self, x: Tensor, e: Tensor | None) -> Tensor:
        h = self.first(x)
        for block, size in zip(self.blocks, self.sizes, strict=True):
            if h.shape[-2:] != size:
                h = F.avg_pool2d(h, 2, ceil_mode=True)
            h = block(h, e)
        return self.last(F.silu(h).flatten(1))


class ConvDecoder(nn.Module):
    """(B, features) to (B, C, H, W) through the pyramid `sizes`, upwards."""

    def __init__(
        self,
        features: int,
        out_channels: int,
        sizes: list[tuple[int, int]],
        channels: Sequence[int],
        condition: int | None,
    ) -> None:
        super().__init__()
        widths = list(channels[: len(sizes)])[::-1]  # coarse to fine
        self.sizes = sizes[::-1]
        self.first = nn.Linear(features, widths[0] * prod(self.sizes[0]))
        self.blocks = nn.ModuleList(
            ConvBlock(a, b, condition) for a, b in zip([widths[0], *widths[:-1]], widths, strict=True)
        )
        self.last = nn.Conv2d(widths[-1], out_channels, 3, padding=1)

    def forward(self, z: Tensor, e: Tensor | None) -> Tensor:
        h = self.first(z).unflatten(1, (-1, *self.sizes[0]))
        for block, size in zip(self.blocks, self.sizes, strict=True):
            if h.shape[-2:] != size:
                h = F.interpolate(h, size=size, mode="nearest")
            h = block(h, e)
        return self.last(F.silu(h))


class Conv(Backbone):
    """Convolutional encoder (image to vector) or decoder (vector to image), chosen by the shapes.

    Arguments:
        in_shape, out_shape: One of them (C, H, W), the other (D,).
        num_classes: Number of labels, None without labels.
        time: Whether a time is given.
        channels: Width per level, full resolution first; levels below 4x4 are left out. None chooses by the data.
        patch: Pixels folded into channels at the image's side; None chooses by size (up to 16 pixels 1, 32: 2, else 4).
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
        channels: tuple[Width, ...] | None = None,
        patch: Depth | None = None,
    ) -> None:
        super().__init__()
        if (len(in_shape), len(out_shape)) not in {(3, 1), (1, 3)}:
            raise ConfigError(
                f"backbone=conv maps an image to a vector or back, not {in_shape} to {out_shape}: "
                "use backbone=unet (image to image) or backbone=mlp"
            )
        image = in_shape if len(in_shape) == 3 else out_shape
        self.patch = p = patch or fold_of(*image[1:])
        channels = level_widths(image, p, CHANNELS) if channels is None else channels
        if not channels:
            raise ConfigError("backbone.channels=[]: a convolutional network needs a width for one level at least")
        condition = channels[-1] if time or num_classes is not None else None
        self.embedding = condition_embedding(channels[-1], num_classes, time)
        sizes = pyramid(-(-image[1] // p), -(-image[2] // p), len(channels))
        self.size = image[1:]
        self.net: ConvEncoder | ConvDecoder
        if len(in_shape) == 3:
            self.net = ConvEncoder(in_shape[0] * p**2, out_shape[0], sizes, channels, condition)
        else:
            self.net = ConvDecoder(in_shape[0], out_shape[0] * p**2, sizes, channels, condition)

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        e = self.embedding(t, y) if self.embedding is not None else None
        if isinstance(self.net, ConvEncoder):
            return self.net(fold(x, self.patch, self.patch), e)
        return unfold(self.net(x, e), self.patch, *self.size)
