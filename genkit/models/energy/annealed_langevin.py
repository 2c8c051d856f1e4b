r"""Annealed Langevin: particles of one sample that follow a path of densities from the base to the model.

.. math:: \pi_\beta(u) \propto q(u)^{1 - \beta}\, \tilde p(u)^\beta, \qquad \beta: 0 \to 1

At each step of β a particle's weight is multiplied by (p̃ / q) to the power of the step, particles are drawn again by
their weights where these have become unequal, and each takes a Metropolis-adjusted Langevin step for π_β. One of them
is the sample. Among a few hundred points of a base distribution no mode of a dozen coordinates is met at all; a path
that leads there gives each mode its share, right in the limit of many particles and of small steps of β.

References: Annealed importance sampling (Neal 2001); Sequential Monte Carlo samplers (Del Moral et al. 2006).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genkit.component import Count, PositiveFloat
from genkit.distributions import draw_categorical
from genkit.models.energy.base_distribution import CoveringBase
from genkit.models.energy.langevin import CANDIDATES, STEP, ChainSampler, LogDensity, slope
from genkit.noise import Noise

TARGET = 0.57  # share of accepted steps at which Langevin steps go furthest (Roberts & Rosenthal 1998)
LEAST = 0.5  # share of the particles that count, below which they are drawn again
POWER = 3  # β = share³: most steps where the base still leads


class AnnealedLangevin(ChainSampler):
    """Metropolis-adjusted Langevin particles, annealed from the base to the model and resampled.

    Arguments:
        steps: Of β, each one gradient of the energy for every particle.
        step: ε at first, in standard deviations of the data; it is fitted to each sample.
        candidates: Particles of each sample, one of which is drawn in the end.
    """

    def __init__(self, steps: Count = 40, step: PositiveFloat = STEP, candidates: Count = CANDIDATES) -> None:
        self.steps, self.step, self.candidates = steps, step, candidates

    @property
    def evaluations(self) -> int:
        return (self.steps + 1) * self.candidates

    def start(self, log_density: LogDensity, base: CoveringBase, shape: tuple[int, ...], noise: Noise) -> Tensor:
        """A draw already, (n, *shape)."""
        u = base.from_noise(self.candidates, shape, noise).flatten(0, 1)
        n, many = len(u) // self.candidates, self.candidates
        log_step = u.new_full((n,), self.step).log()
        log_w = u.new_zeros(n, many, dtype=torch.float64)
        before = 0.0
        p, q = _slopes(log_density, base, u)
        for i in range(1, self.steps + 1):
            beta = (i / self.steps) ** POWER
            log_w = log_w + (beta - before) * (p[0] - q[0]).double().unflatten(0, (n, many))
            uniforms = torch.special.ndtr(noise(1 + many).double()).to(u)
            rows, log_w = _resampled(log_w, uniforms[:, :1])
            u, p, q = u[rows], (p[0][rows], p[1][rows]), (q[0][rows], q[1][rows])
            eps = noise(many, *shape).flatten(0, 1).to(u)
            step = log_step.exp().repeat_interleave(many)
            moved, (p_there, q_there), chance = self._proposed(log_density, base, u, (p, q), beta, step, eps)
            taken = uniforms[:, 1:].flatten() < chance
            u = torch.where(_beside(taken, u), moved, u)
            p, q = _either(taken, p_there, p), _either(taken, q_there, q)
            log_step = log_step + 0.5 * (chance.unflatten(0, (n, many)).mean(1) - TARGET)
            before = beta
        chosen = draw_categorical(log_w.to(u), torch.special.ndtr(noise(1)[:, 0]))
        return u.unflatten(0, (n, many))[torch.arange(n, device=u.device), chosen]

    def walk(self, log_density: LogDensity, u: Tensor, normals: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
        """The starts: the particles have walked already."""
        return u

    def _proposed(
        self,
        log_density: LogDensity,
        base: CoveringBase,
        u: Tensor,
        here: tuple[Slope, Slope],
        beta: float,
        step: Tensor,
        eps: Tensor,
    ) -> tuple[Tensor, tuple[Slope, Slope], Tensor]:
        """The place that each particle would go to, the slopes there, and the chance (N,) that it goes."""
        value, gradient = _mixed(*here, beta)
        wide = _beside(step, u)
        moved = u + wide**2 / 2 * gradient + wide * eps
        there = _slopes(log_density, base, moved)
        value_there, gradient_there = _mixed(*there, beta)
        back = (u - moved - wide**2 / 2 * gradient_there).flatten(1).square().sum(1) / (2 * step**2)
        chance = (value_there - value - back + eps.flatten(1).square().sum(1) / 2).exp().clamp(max=1)
        return moved, there, chance.nan_to_num(0.0)


Slope = tuple[Tensor, Tensor]  # a log-density (N,) and its gradient (N, *shape)


def _slopes(log_density: LogDensity, base: CoveringBase, u: Tensor) -> tuple[Slope, Slope]:
    """Those of the model and of the base."""
    return slope(log_density, u), slope(base.log_prob, u)


def _mixed(p: Slope, q: Slope, beta: float) -> Slope:
    """Of π_β."""
    return beta * p[0] + (1 - beta) * q[0], beta * p[1] + (1 - beta) * q[1]


def _either(taken: Tensor, there: Slope, here: Slope) -> Slope:
    return torch.where(taken, there[0], here[0]), torch.where(_beside(taken, here[1]), there[1], here[1])


def _resampled(log_w: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (n · many,) of the particles drawn again where too few count, and their weights (n, many)."""
    n, many = log_w.shape
    w = log_w.softmax(1)
    few = 1 / w.square().sum(1) < LEAST * many
    places = ((torch.arange(many, device=u.device) + u) / many).to(w)
    again = torch.searchsorted(w.cumsum(1).contiguous(), places.contiguous()).clamp(max=many - 1)
    rows = torch.where(few[:, None], again, torch.arange(many, device=u.device))
    own = rows + many * torch.arange(n, device=u.device)[:, None]
    return own.flatten(), log_w.masked_fill(few[:, None], 0.0)


def _beside(value: Tensor, u: Tensor) -> Tensor:
    return value.reshape(-1, *[1] * (u.ndim - 1))
