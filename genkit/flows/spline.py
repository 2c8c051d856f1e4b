r"""Monotone rational-quadratic splines (Durkan et al. 2019).

[−B, B] is cut into K bins on both axes: widths w and heights h (softmax, so they add up to 2B), and a positive slope δ
at each of the K + 1 knots. In the bin from (x_k, z_k) with s = h_k / w_k and ξ = (x − x_k) / w_k ∈ [0, 1],

.. math::
    g(x) = z_k + h_k \frac{s ξ^2 + δ_k ξ(1-ξ)}{D}, \quad D = s + (δ_{k+1} + δ_k - 2s)\, ξ(1-ξ),

    g'(x) = \frac{s^2 (δ_{k+1} ξ^2 + 2 s ξ(1-ξ) + δ_k (1-ξ)^2)}{D^2}.

g⁻¹ solves a quadratic in ξ. Outside [−B, B], g continues as the line with the slope of the outer knot, so it is a C¹
bijection of the real line that maps [−B, B] onto itself: data with hard ends can be modelled on the box [−1, 1]ᴰ
without a logit.

References:
    Neural spline flows (Durkan, Bekasov, Murray, Papamakarios, 2019), arXiv:1906.04032.
"""

from __future__ import annotations

from math import expm1, log
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.component import PositiveFloat, Width
from genkit.flows.coupling import Elementwise

# Floors of a bin's share of the axis and of a slope: the spline stays invertible in float32 with 256 grey levels.
MIN_SHARE = 1e-4
MIN_SLOPE = 1e-3


class _Bin(NamedTuple):
    """The bin of each value: left knot (x, z), width, height, slopes at its two ends; all of the values' shape."""

    x: Tensor
    z: Tensor
    width: Tensor
    height: Tensor
    slope_left: Tensor
    slope_right: Tensor


class RationalQuadratic(Elementwise):
    """Spline with K bins on [−B, B] and linear tails; P = 3K + 1 parameters per value.

    Arguments:
        bins: K.
        bound: B.
    """

    def __init__(self, bins: Width = 8, bound: PositiveFloat = 4.0) -> None:
        self.bins, self.bound = bins, bound
        self.num_parameters = 3 * bins + 1

    def forward(self, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        inside = x.clamp(-self.bound, self.bound)
        b = self._bin(inside, theta, axis=0)
        z, slope = _curve(b, ((inside - b.x) / b.width).clamp(0, 1))
        return z + (x - inside) * slope, slope.log()

    def inverse(self, z: Tensor, theta: Tensor) -> Tensor:
        inside = z.clamp(-self.bound, self.bound)
        b = self._bin(inside, theta, axis=1)
        xi = _solve(b, inside)
        _, slope = _curve(b, xi)
        return b.x + b.width * xi + (z - inside) / slope

    def _bin(self, at: Tensor, theta: Tensor, axis: int) -> _Bin:
        """The bin in which `at` (B, C, …) lies on the x axis (0) or the z axis (1), for θ of batch B or 1."""
        free_widths, free_heights, free_slopes = theta.split((self.bins, self.bins, self.bins + 1), dim=2)
        widths, heights = free_widths.softmax(2), free_heights.softmax(2)
        with torch.no_grad():
            number = torch.arange(self.bins, device=at.device).view(-1, *[1] * (at.dim() - 2))
            edges = self._place((widths, heights)[axis].cumsum(2), number + 1)  # right ends of the bins
            k = (at.unsqueeze(2) >= edges).sum(2, keepdim=True).clamp_max(self.bins - 1)
        x, width = self._ends(_before(widths, k, number), _pick(widths, k), k)
        z, height = self._ends(_before(heights, k, number), _pick(heights, k), k)
        return _Bin(x, z, width, height, _positive(_pick(free_slopes, k)), _positive(_pick(free_slopes, k + 1)))

    def _ends(self, before: Tensor, share: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Left knot and size of bin k from the softmax shares before it and its own."""
        size = 2 * self.bound * (MIN_SHARE + (1 - MIN_SHARE * self.bins) * share)
        return self._place(before, k.squeeze(2)), size

    def _place(self, before: Tensor, k: Tensor) -> Tensor:
        """Position in [−B, B] of the knot that has k bins to its left."""
        return self.bound * (2 * (MIN_SHARE * k + (1 - MIN_SHARE * self.bins) * before) - 1)


def _pick(values: Tensor, k: Tensor) -> Tensor:
    """values (B or 1, C, K, …) at index k (B, C, 1, …): (B, C, …)."""
    return values.expand(len(k), *values.shape[1:]).gather(2, k).squeeze(2)


def _before(shares: Tensor, k: Tensor, number: Tensor) -> Tensor:
    """Sum of the shares (B or 1, C, K, …) of the bins left of bin k (B, C, 1, …): (B, C, …)."""
    if len(shares) == len(k):
        return (shares * (number < k)).sum(2)
    return _pick(shares.cumsum(2) - shares, k)  # one set of parameters for all examples: summed once


def _positive(free: Tensor) -> Tensor:
    """Slopes from free numbers; 0 becomes 1."""
    return MIN_SLOPE + F.softplus(free + log(expm1(1 - MIN_SLOPE)))


def _curve(b: _Bin, xi: Tensor) -> tuple[Tensor, Tensor]:
    """(g, g′) at the relative place ξ in [0, 1] of each bin."""
    s, mixed = b.height / b.width, xi * (1 - xi)
    denominator = s + (b.slope_right + b.slope_left - 2 * s) * mixed
    z = b.z + b.height * (s * xi.square() + b.slope_left * mixed) / denominator
    numerator = s.square() * (b.slope_right * xi.square() + 2 * s * mixed + b.slope_left * (1 - xi).square())
    return z, numerator / denominator.square()


def _solve(b: _Bin, z: Tensor) -> Tensor:
    """ξ in [0, 1] with g(ξ) = z: the root of q₂ξ² + q₁ξ + q₀ in the form that does not cancel."""
    s, rise = b.height / b.width, z - b.z
    bend = rise * (b.slope_right + b.slope_left - 2 * s)
    q2, q1, q0 = b.height * (s - b.slope_left) + bend, b.height * b.slope_left - bend, -s * rise
    root = (q1.square() - 4 * q2 * q0).clamp_min(0).sqrt()
    return torch.clamp(2 * q0 / (-q1 - root), 0, 1)
