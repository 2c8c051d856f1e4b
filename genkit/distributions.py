r"""Densities and units that every family shares.

Bits per dimension. A density p over x in [lo, hi)^D of data with `levels` stored values puts the probability
p(x) w^D on a cell of width w = (hi − lo)/levels per dimension, so a negative log-density in nats becomes

.. math:: \text{bits/dim} = \frac{-\log p(x)}{D \ln 2} + \log_2 \frac{\text{levels}}{hi - lo}.

A uniform model scores log2(levels), independently of the range that the values were scaled to.
"""

from math import log, log2, pi
from typing import TypeVar

import torch
from torch import Tensor

Nats = TypeVar("Nats", Tensor, float)


def bits_per_dim(nll: Nats, dim: int, levels: int, value_range: tuple[float, float]) -> Nats:
    """Negative log-density of dequantised examples, in nats, to bits per dimension (Theis et al. 2015, 1511.01844).

    Args:
        nll: −log p(x) in nats, any shape.
        dim: D, the number of values in one example.
        levels: Discrete stored values per dimension.
        value_range: (lo, hi), what they were scaled to.
    """
    lo, hi = value_range
    return nll / (dim * log(2)) + log2(levels / (hi - lo))


def normal_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, e^log_var) ‖ N(0, 1)) in nats, per dimension, any shape."""
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)


def truncated_normal(eps: Tensor, bound: float) -> Tensor:
    """Standard normal draws eps, any shape, to those of the normal truncated to [−bound, bound], by its inverse CDF.

    Each draw is a monotone function of its own eps, odd around 0, so a larger bound moves it away from 0 continuously.
    """
    # of the lower half alone and through log Φ, where they keep their digits
    tail = torch.special.log_ndtr(torch.tensor(-bound, dtype=torch.float64)).exp()
    below = torch.special.log_ndtr(-eps.double().abs()).exp()
    return -torch.special.ndtri(tail + below * (1 - 2 * tail)).to(eps) * eps.sign()


def normal_log_prob(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mean, e^log_var) in nats, per dimension, shapes that broadcast."""
    return -0.5 * ((z - mean).square() * torch.exp(-log_var) + log_var + log(2 * pi))


def draw_categorical(logits: Tensor, u: Tensor) -> Tensor:
    """Logits (n, K) and uniforms (n,) to draws (n,) int64; as `draw_by_shares`."""
    return draw_by_shares(logits.double().softmax(1), u)


def draw_by_shares(shares: Tensor, u: Tensor) -> Tensor:
    """Inverse of the distribution function in float64: shares (n, K) of any sum and uniforms (n,) to draws (n,) int64.

    What has no share is never drawn, u at an end of its interval included.
    """
    mass = shares.double()
    below = mass.cumsum(1)
    found = (below < u.double()[:, None] * below[:, -1:]).sum(1)
    last = (mass > 0).double().cumsum(1).argmax(1)  # the last one that has any
    return torch.where(mass.gather(1, found.clamp(max=mass.shape[1] - 1)[:, None])[:, 0] > 0, found, last)
