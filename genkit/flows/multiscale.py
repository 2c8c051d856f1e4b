r"""Multiscale composition: each level squeezes, transforms, and lets most of its channels leave as latents.

    x ── squeeze ── layers ──┬── kept channels: the next level, at last `top` on a flat vector
                             └── the others leave: z_1                      z = (z_top, z_L, …, z_1), flat

What leaves does so through couplings that read what stays, which is a split with a learned prior p(gone | kept), and
coarse structure gets the deepest path.

References:
    Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2016), arXiv:1605.08803, section 3.6.
    Glow: Generative flow with invertible 1x1 convolutions (Kingma, Dhariwal, 2018), arXiv:1807.03039, section 3.
"""

from collections.abc import Sequence
from math import prod
from typing import cast

import torch
from torch import Tensor, nn

from genkit.errors import ConfigError
from genkit.flows.transform import Transform

# A coarsest image smaller than this has too little left for its own couplings to shape.
SMALLEST_SIDE = 4


def halvings(shape: tuple[int, ...], levels: int) -> int:
    """Number of times that an image (C, H, W) can be halved, at most `levels`; all but the first leave at least 4x4.

    Raises ConfigError where the image itself has an odd side or is smaller than 4x4.
    """
    _, height, width = shape
    if height % 2 or width % 2 or min(height, width) < SMALLEST_SIDE:
        raise ConfigError(
            f"model=flow needs images of even height and width, at least {SMALLEST_SIDE}x{SMALLEST_SIDE}, "
            f"not {height}x{width}: pad the images or choose another model="
        )
    count = 1
    while count < levels and not (height >> count) % 2 and not (width >> count) % 2:
        if min(height, width) >> count < 2 * SMALLEST_SIDE:
            break
        count += 1
    return count


class Squeeze(Transform):
    """Space to channels: (B, C, H, W) to (B, 4C, H/2, W/2), a permutation of the values; H and W must be even.

    The four pixels of every 2x2 block become four groups of C channels in the order (0,0), (0,1), (1,0), (1,1).
    Channels 0 … C−1 are the image subsampled by two, and a coupling of groups is a checkerboard coupling of pixels.
    """

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, C, H/2, 2, W/2, 2)
        return z.permute(0, 3, 5, 1, 2, 4).flatten(1, 3), x.new_zeros(len(x))

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        blocks = z.unflatten(1, (2, 2, -1)).permute(0, 3, 4, 1, 5, 2)  # (B, C, H/2, 2, W/2, 2)
        return blocks.flatten(4, 5).flatten(2, 3)


class Multiscale(Transform):
    """Levels of (squeeze, transform, split), and a transform of what is left, from (B, C, H, W) to (B, D).

    Arguments:
        shape: (C, H, W) of one example; height and width divisible by 2 to the number of levels.
        levels: One transform per level, of (B, 4C', H/2, W/2); the first `kept[l]` channels go on.
        kept: Channels that stay, per level.
        top: Transform of the flat rest (B, D_top).
    """

    def __init__(
        self, shape: tuple[int, ...], levels: Sequence[Transform], kept: Sequence[int], top: Transform
    ) -> None:
        super().__init__()
        self.squeeze = Squeeze()
        self.levels = nn.ModuleList(levels)
        self.top = top
        self.kept = tuple(kept)
        self.gone_shapes: list[tuple[int, ...]] = []
        for keep in kept:
            shape = (4 * shape[0], shape[1] // 2, shape[2] // 2)
            self.gone_shapes.append((shape[0] - keep, *shape[1:]))
            shape = (keep, *shape[1:])
        self.top_shape = shape

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        latents, log_abs_det = [], x.new_zeros(len(x))
        for level, keep in zip(self.levels, self.kept, strict=True):
            x, term = level(self.squeeze(x)[0], y)
            log_abs_det = log_abs_det + term
            latents.append(x[:, keep:].flatten(1))
            x = x[:, :keep]
        top, term = self.top(x.flatten(1), y)
        return torch.cat((top, *reversed(latents)), dim=1), log_abs_det + term

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        sizes = [prod(self.top_shape), *(prod(shape) for shape in reversed(self.gone_shapes))]
        top, *latents = z.split(sizes, dim=1)
        x = self.top.inverse(top, y).unflatten(1, self.top_shape)
        for level, shape, gone in zip(
            reversed(cast(Sequence[Transform], self.levels)), reversed(self.gone_shapes), latents, strict=True
        ):
            whole = torch.cat((x, gone.unflatten(1, shape)), dim=1)
            x = self.squeeze.inverse(level.inverse(whole, y))
        return x
