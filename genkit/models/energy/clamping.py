r"""The rest of an example by chains that hold what is known: draws from p(u_rest | u_known) ∝ p̃(u_known, u_rest).

A chain walks in all coordinates, but the density is asked with the known ones put back, so nothing depends on where the
others of these wander. A start is chosen among candidates of the base by p̃(u_known, v_rest) / q(v_rest): the base's
density of the rest alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.models.energy.base_distribution import CoveringBase
from genkit.models.energy.langevin import ChainSampler, LogDensity
from genkit.noise import Noise


class RestOfBase(CoveringBase):
    """A base distribution that counts the coordinates that are not known.

    Args:
        base: Of all coordinates.
        free: (n, *shape) bool: what is not known of each sample.
    """

    def __init__(self, base: CoveringBase, free: Tensor) -> None:
        super().__init__(base.std, base.half_width, base.tail_std)
        self.free = free

    def log_prob(self, u: Tensor, counted: Tensor | None = None) -> Tensor:
        free = self.free.repeat_interleave(len(u) // len(self.free), 0)
        return super().log_prob(u, free if counted is None else counted & free)


def completed(
    sampler: ChainSampler, log_density: LogDensity, base: CoveringBase, u: Tensor, known: Tensor, noise: Noise
) -> Tensor:
    """u (n, *shape) where it is known, the rest drawn given that.

    Args:
        sampler: Of the chains.
        log_density: log p̃ of points, all those of one sample side by side.
        base: Where chains start.
        u: Standardised; what is not known is not looked at.
        known: Bool, of u's shape.
        noise: A row for each sample.
    """

    def clamped(points: Tensor) -> Tensor:
        each = len(points) // len(u)
        return torch.where(known.repeat_interleave(each, 0), u.repeat_interleave(each, 0), points)

    drawn = sampler(lambda points: log_density(clamped(points)), RestOfBase(base, ~known), tuple(u.shape[1:]), noise)
    return clamped(drawn.detach())
