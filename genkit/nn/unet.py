r"""A U-Net (Ronneberger et al. 2015, 1505.04597), as used for denoising (Ho et al. 2020, 2006.11239; Dhariwal & Nichol
2021, 2105.05233): residual blocks at falling and rising resolution, joined by skips, each block's second normalisation
scaled and shifted by the embedding of time and label.

What a step costs is decided by the full-resolution blocks, so large images are first folded into channels
(`patch`: H x W x C becomes H/p x W/p x p²C), and attention stands at the lowest resolution only.
Sizes that do not halve evenly are padded on the way in and cropped on the way out.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Width
from genkit.errors import ConfigError
from genkit.nn.attention import SelfAttention2d
from genkit.nn.backbone import Backbone
from genkit.nn.embedding import condition_embedding
from genkit.nn.fold import fold, fold_of, unfold
from genkit.nn.widths import level_widths

GREY = (32, 64)  # widths of the levels for one or two channels


class UNetBlock(nn.Module):
    """Residual block (B, C, H, W) to (B, C', H, W): two convolutions, the second modulated by e (B, F)."""

    def __init__(self, in_channels: int, out_channels: int, condition: int | None, attention: bool) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(min(8, in_channels), in_channels)
        self.first = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm_out = nn.GroupNorm(min(8, out_channels), out_channels)
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        self.condition = nn.Linear(condition, 2 * out_channels) if condition else None
        self.attention = SelfAttention2d(out_channels) if attention else nn.Identity()

    def forward(self, x: Tensor, e: Tensor | None) -> Tensor:
        h = self.norm_out(self.first(F.silu(self.norm_in(x))))
        if self.condition is not None:
            scale, shift = self.condition(e)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return self.attention(self.skip(x) + self.second(F.silu(h)))


class UNet(Backbone):
    """U-Net between images of one size.

    Arguments:
        in_shape, out_shape: (C, H, W) and (C', H, W).
        num_classes: Number of labels, None without labels.
        time: Whether a time is given.
        channels: Width per level, full resolution first; each level halves the resolution. None chooses by the data:
            32, 64 for one or two channels, down to about 4x4 for colour.
        blocks: Residual blocks per level on the way down (one more on the way up).
        patch: Pixels folded into channels at the entrance; None chooses by size (up to 16 pixels 1, 32: 2, else 4).
        attention: Self-attention at the lowest resolution; channels[-1] must then be a multiple of 4.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
        channels: tuple[Width, ...] | None = None,
        blocks: Depth = 1,
        patch: Depth | None = None,
        attention: bool = True,
    ) -> None:
        super().__init__()
        if len(in_shape) != 3 or len(out_shape) != 3 or in_shape[1:] != out_shape[1:]:
            raise ConfigError(
                f"backbone=unet maps images to images of the same size, not {in_shape} to {out_shape}: "
                "use backbone=conv (image to vector and back) or backbone=mlp"
            )
        patch = patch or fold_of(*in_shape[1:])
        channels = level_widths(in_shape, patch, GREY) if channels is None else channels
        if not channels:
            raise ConfigError("backbone.channels=[]: a U-Net needs a width for one level at least")
        for i, width in enumerate(channels):
            if width % 8:
                raise ConfigError(f"backbone.channels[{i}]={width}: a U-Net's widths are multiples of 8")
        self.patch = patch
        self.multiple = self.patch * 2 ** (len(channels) - 1)
        self.embedding = condition_embedding(4 * channels[0], num_classes, time)
        condition = 4 * channels[0] if self.embedding is not None else None
        self.first = nn.Conv2d(in_shape[0] * self.patch**2, channels[0], 3, padding=1)
        self.down, skips = _way_down(channels, blocks, condition, attention)
        self.middle = UNetBlock(channels[-1], channels[-1], condition, attention)
        self.up = _way_up(channels, blocks, skips, condition, attention)
        self.norm = nn.GroupNorm(8, channels[0])
        self.last = nn.Conv2d(channels[0], out_shape[0] * self.patch**2, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        e = self.embedding(t, y) if self.embedding is not None else None
        H, W = x.shape[-2:]
        h = self.first(fold(x, self.patch, self.multiple))
        skips = [h]
        for level in self.down:
            for block in level.children():
                h = block(h, e)
                skips.append(h)
            if level is not self.down[-1]:
                h = F.avg_pool2d(h, 2)
        h = self.middle(h, e)
        for level in self.up:
            if h.shape[-2:] != skips[-1].shape[-2:]:
                h = F.interpolate(h, scale_factor=2.0, mode="nearest")
            for block in level.children():
                h = block(torch.cat((h, skips.pop()), dim=1), e)
        h = self.last(F.silu(self.norm(h)))
        return unfold(h, self.patch, H, W)


def _way_down(
    channels: Sequence[int], blocks: int, condition: int | None, attention: bool
) -> tuple[nn.ModuleList, list[int]]:
    """Levels from full to lowest resolution, and the widths that they leave for the way up."""
    levels, skips, width = nn.ModuleList(), [channels[0]], channels[0]
    for depth, out in enumerate(channels):
        level = nn.ModuleList()
        for _ in range(blocks):
            level.append(UNetBlock(width, out, condition, attention and depth == len(channels) - 1))
            width = out
            skips.append(width)
        levels.append(level)
    return levels, skips


def _way_up(
    channels: Sequence[int], blocks: int, skips: list[int], condition: int | None, attention: bool
) -> nn.ModuleList:
    """Levels from lowest to full resolution; each block takes one skip of the way down."""
    levels, width = nn.ModuleList(), channels[-1]
    skips = list(skips)
    for depth, out in reversed(list(enumerate(channels))):
        level = nn.ModuleList()
        for _ in range(blocks + (depth == 0)):
            level.append(UNetBlock(width + skips.pop(), out, condition, attention and depth == len(channels) - 1))
            width = out
        levels.append(level)
    return levels
