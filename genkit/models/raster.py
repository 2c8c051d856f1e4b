r"""The order in which the values of an image are drawn: squares of p × p pixels row by row, and in each its pixels.

The values of a pixel's channels come together. With p = 1 that is plain raster order. With p > 1 a network of images
sees an image of (C p², H / p, W / p), whose channels are the values of a square, one after the other: the chain rule
holds in any order, so likelihoods stay exact, and convolutions have a p²-th of the places to go over.
"""

from __future__ import annotations

from torch import Tensor

from genkit.errors import ConfigError


def folded_shape(shape: tuple[int, ...], patch: int) -> tuple[int, ...]:
    """The shape of the image of squares.

    Args:
        shape: (C, H, W); another one has no squares.
        patch: p.

    Raises:
        ConfigError: squares do not cover the image, or it is none.
    """
    if patch == 1:
        return shape
    if len(shape) != 3 or shape[1] % patch or shape[2] % patch:
        told = "x".join(map(str, shape))
        raise ConfigError(f"model.patch={patch}: takes images whose sides it divides, this data is {told}: set it to 1")
    channels, rows, columns = shape
    return channels * patch**2, rows // patch, columns // patch


def in_raster(v: Tensor, patch: int) -> Tensor:
    """Values (B, C, H, W) in the order in which they are drawn, (B, C H W)."""
    squares = v.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))  # (B, C, H / p, p, W / p, p)
    return squares.permute(0, 2, 4, 3, 5, 1).flatten(1)


def from_raster(tokens: Tensor, shape: tuple[int, ...], patch: int) -> Tensor:
    """Tokens (B, C H W) in the order in which they are drawn as images (B, C, H, W)."""
    channels, rows, columns = shape
    squares = tokens.unflatten(1, (rows // patch, columns // patch, patch, patch, channels))
    return squares.permute(0, 5, 1, 3, 2, 4).reshape(-1, *shape)
