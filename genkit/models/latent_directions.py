r"""Directions in a latent space: what a decoder makes of a step along them.

With the Jacobian J of a decoder g at a latent z, a small step s v changes the output by s ‖J v‖. Averaged over latents,

.. math:: G = E_z[J^\top J], \qquad E_z \|g(z + s v) - g(z)\|^2 \approx s^2\, v^\top G v.

Its diagonal says how much each coordinate is used: a coordinate that an autoencoder's posterior has collapsed on moves
nothing. Its eigenvectors are the directions of most change, which stand in for coordinates where these have no meaning
of their own, as those of a GAN (Ramesh et al. 2018, 1812.01161). The slopes are central differences, which any decoder
has.

An attribute's direction is the difference of mean latents with and without it (Larsen et al. 2015, 1512.09300; White
2016, 1609.04468).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STEP = 0.1  # of the differences, in standard deviations of the latent


def slopes(decode: Callable[[Tensor], Tensor], z: Tensor, spread: Tensor, step: float = STEP) -> Tensor:
    """J (B, D, N) of a decoder at latents z (B, D), per standard deviation of each coordinate.

    Args:
        decode: Latents (n, D) to outputs (n, …) of N numbers.
        z: Where.
        spread: (D,) standard deviation of each coordinate.
        step: Of the differences.
    """
    moves = step * torch.diag(spread)
    there = torch.cat([z[:, None] + moves, z[:, None] - moves], 1)  # (B, 2 D, D)
    out = decode(there.flatten(0, 1)).flatten(1).unflatten(0, there.shape[:2])
    ahead, behind = out.chunk(2, dim=1)
    return (ahead - behind) / (2 * step)


def use(jacobian: Tensor) -> Tensor:
    """√G_dd (D,): how far a step of one standard deviation moves the output, by slopes (B, D, N)."""
    return jacobian.double().square().sum(2).mean(0).sqrt()


def principal_directions(jacobian: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k directions of most change (k, D), unit vectors, and how far each moves the output (k,).

    The largest coordinate of each is positive.
    """
    gram = torch.einsum("bdn,ben->de", jacobian.double(), jacobian.double()) / len(jacobian)
    values, vectors = torch.linalg.eigh(gram)
    directions = vectors.T.flip(0)[:k]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return directions * largest.sign(), values.flip(0)[:k].clamp(min=0).sqrt()


def mean_of_each(z: Tensor, y: Tensor, classes: int) -> Tensor:
    """Mean latent of each class (K, D), of latents (n, D) with labels (n,); of a class without any, not a number."""
    total = z.new_zeros(classes, z.shape[1]).index_add(0, y, z)
    return total / torch.bincount(y, minlength=classes)[:, None].to(z)
