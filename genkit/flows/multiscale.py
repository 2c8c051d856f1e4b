r"""Multiscale composition: each level squeezes, transforms, and lets most of its channels leave as latents.

    x ── squeeze ── layers ──┬── kept channels: the next level, at last `top` on a flat vector
                             └── the others leave: z_1                      z = (z_top, z_L, …, z_1), flat

What leaves does so through couplings that read what stays, which is a split with a learned prior p(gone | kept), and
coarse structure gets the deepest path. Where a side is odd, the last row or column leaves first (`border.py`).

References:
    Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2016), arXiv:1605.08803, section 3.6.
    Glow: Generative flow with invertible 1x1 convolutions (Kingma, Dhariwal, 2018), arXiv:1807.03039, section 3.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import cast

import torch
from torch import Tensor, nn

from genkit.errors import ConfigError
from genkit.flows.border import Border
from genkit.flows.transform import Transform

# A coarsest image smaller than this has too little left for its own couplings to shape.
SMALLEST_SIDE = 4


def halvings(shape: tuple[int, ...], levels: int | None) -> int:
    """Number of times that an image (C, H, W) is halved, at most `levels`; all but the first leave at least 4x4.

    Raises ConfigError where the image is smaller than 4x4.
    """
    smallest = min(shape[1:])
    if smallest < SMALLEST_SIDE:
        raise ConfigError(
            f"model=flow needs images of at least {SMALLEST_SIDE}x{SMALLEST_SIDE}, not {shape[1]}x{shape[2]}: "
            "choose larger images, or model=diffusion"
        )
    count = 1
    while (levels is None or count < levels) and smallest >> count >= 2 * SMALLEST_SIDE:
        count += 1
    return count


def halved(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape (4C, H/2, W/2) of an image (C, H, W) after the squeeze; an odd side is cut first."""
    return (4 * shape[0], shape[1] // 2, shape[2] // 2)


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
    """Levels of (border, squeeze, transform, split), and a transform of what is left, from (B, C, H, W) to (B, D).

    Arguments:
        shape: (C, H, W) of one example.
        levels: One transform per level, of (B, 4C', H/2, W/2); the first `kept[l]` channels go on.
        kept: Channels that stay, per level.
        top: Transform of the flat rest (B, D_top).
        border: Makes the transform of the border of an image of some shape with an odd side; None where none is.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        levels: Sequence[Transform],
        kept: Sequence[int],
        top: Transform,
        border: Callable[[tuple[int, ...]], Border] | None = None,
    ) -> None:
        super().__init__()
        self.squeeze = Squeeze()
        self.levels = nn.ModuleList(levels)
        self.top = top
        self.kept = tuple(kept)
        self.borders = nn.ModuleDict()
        self.gone_shapes: list[tuple[int, ...]] = []
        for level, keep in enumerate(kept):
            if shape[1] % 2 or shape[2] % 2:
                assert border is not None
                self.borders[str(level)] = border(shape)
                self.gone_shapes.append((prod(shape) - prod(halved(shape)),))
            shape = halved(shape)
            self.gone_shapes.append((shape[0] - keep, *shape[1:]))
            shape = (keep, *shape[1:])
        self.top_shape = shape

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        latents, log_abs_det = [], x.new_zeros(len(x))
        for number, (level, keep) in enumerate(zip(self.levels, self.kept, strict=True)):
            if (border := self._border(number)) is not None:
                x, term = border(x, y)
                log_abs_det = log_abs_det + term
                x, gone = border.split(x)
                latents.append(gone)
            x, term = level(self.squeeze(x)[0], y)
            log_abs_det = log_abs_det + term
            latents.append(x[:, keep:].flatten(1))
            x = x[:, :keep]
        top, term = self.top(x.flatten(1), y)
        return torch.cat((top, *reversed(latents)), dim=1), log_abs_det + term

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        sizes = [prod(self.top_shape), *(prod(shape) for shape in reversed(self.gone_shapes))]
        top, *latents = z.split(sizes, dim=1)
        gone = (part.unflatten(1, shape) for part, shape in zip(latents, reversed(self.gone_shapes), strict=True))
        x = self.top.inverse(top, y).unflatten(1, self.top_shape)
        for number, level in reversed(list(enumerate(cast(Sequence[Transform], self.levels)))):
            whole = torch.cat((x, next(gone)), dim=1)
            x = self.squeeze.inverse(level.inverse(whole, y))
            if (border := self._border(number)) is not None:
                x = border.inverse(border.join(x, next(gone)), y)
        return x

    def _border(self, level: int) -> Border | None:
        key = str(level)
        return cast(Border, self.borders[key]) if key in self.borders else None
