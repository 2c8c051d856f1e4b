r"""Paths between two latents.

* `Lerp`, the straight line (1 − t) a + t b. In many dimensions it leads through a normal prior's empty middle: half-way
  between two independent draws of N(0, I) the norm is smaller by the factor √½.
* `Slerp`, along the great circle: with Ω the angle between a and b,

  .. math:: \frac{\sin((1 - t)\,\Omega)}{\sin \Omega}\, a + \frac{\sin(t\,\Omega)}{\sin \Omega}\, b,

  which keeps the norm of two points that share it and covers equal angles in equal times.

Great circles are ambiguous between opposite points and degenerate between parallel ones; there it takes half a circle
through a fixed perpendicular direction, and the straight line.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genkit.component import Component

SMALL = 1e-6  # sin Ω below which the formula divides by rounding errors


class Interpolation(Component, ABC):
    """Paths between pairs of vectors."""

    @abstractmethod
    def __call__(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        """a, b (B, D) and times t (T,) in [0, 1] to points (B, T, D): a at t = 0, b at t = 1."""


class Lerp(Interpolation):
    """(1 − t) a + t b."""

    def __call__(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        t = t[None, :, None].to(a)
        return (1 - t) * a[:, None] + t * b[:, None]


class Slerp(Interpolation):
    """The great circle between a and b, at constant angular speed.

    References: Sampling Generative Networks (White 2016, 1609.04468); Animating Rotation with Quaternion Curves
    (Shoemake 1985).
    """

    def __call__(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        p, q, s = a.double(), b.double(), t.double().to(a.device)
        cosine = (unit(p) * unit(q)).sum(1).clamp(-1, 1)
        sine = (1 - cosine.square()).sqrt()
        circle = along(p, q, cosine.arccos(), s)
        straight = Lerp()(p, q, s)
        path = torch.where((sine < SMALL)[:, None, None], straight, circle)
        path = torch.where(((sine < SMALL) & (cosine < 0))[:, None, None], half_circle(p, q, s), path)
        return path.to(a)


def along(a: Tensor, b: Tensor, angle: Tensor, t: Tensor) -> Tensor:
    """White's formula for the angles Ω (B,) between a and b (B, D), (B, T, D); without meaning where sin Ω is 0."""
    sine = angle.sin().clamp_min(SMALL / 2)[:, None]
    before, after = (torch.sin(angle[:, None] * s) / sine for s in (1 - t, t))  # (B, T)
    return before[:, :, None] * a[:, None] + after[:, :, None] * b[:, None]


def half_circle(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """From a to b ∝ −a through a perpendicular direction, the norm changing linearly; (B, T, D).

    On a line (D = 1) there is none, and the way leads through 0.
    """
    radius = Lerp()(a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True), t)  # (B, T, 1)
    turn = (torch.pi * t)[None, :, None]
    return radius * (torch.cos(turn) * unit(a)[:, None] + torch.sin(turn) * perpendicular(unit(a))[:, None])


def perpendicular(a: Tensor) -> Tensor:
    """A unit vector perpendicular to each unit vector a (B, D), in the plane of a and the axis farthest from it."""
    axis = torch.zeros_like(a).scatter_(1, a.abs().argmin(1, keepdim=True), 1.0)
    return unit(axis - (axis * a).sum(1, keepdim=True) * a)


def unit(a: Tensor) -> Tensor:
    """a (B, D) over its norm; 0 stays 0."""
    return a / a.norm(dim=1, keepdim=True).clamp_min(torch.finfo(a.dtype).tiny)
