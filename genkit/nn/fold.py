"""Folding pixels into channels, H x W x C to H/p x W/p x p²C: full-resolution layers cost most and do little."""

from torch import Tensor
from torch.nn import functional as F


def fold_of(height: int, width: int) -> int:
    """Pixels p folded into channels per side: 1 up to 16 pixels, 2 up to 32, 4 beyond."""
    side = min(height, width)
    return 1 if side <= 16 else 2 if side <= 32 else 4


def fold(x: Tensor, p: int, multiple: int) -> Tensor:
    """(B, C, H, W) to (B, p²C, H'/p, W'/p), the sides first padded up to a multiple of `multiple`."""
    H, W = x.shape[-2:]
    if H % multiple or W % multiple:
        x = F.pad(x, (0, -W % multiple, 0, -H % multiple), mode="replicate")
    return F.pixel_unshuffle(x, p)


def unfold(h: Tensor, p: int, height: int, width: int) -> Tensor:
    """(B, p²C, H'/p, W'/p) back to (B, C, height, width), the padding cut off."""
    return F.pixel_shuffle(h, p)[..., :height, :width]
