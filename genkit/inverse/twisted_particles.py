r"""Twisted particles: guided steps that are weighed, so that they end at the posterior itself.

Guidance by a measurement draws each step from q(x_s | x_t, v) in place of p(x_s | x_t, v), which nobody knows, and its
errors add up. Particles of one example can carry them as weights (Twisted diffusion sampler, Wu et al. 2023,
2306.17775): with an estimate p̃(v | x_t) of the likelihood of a noisy point, the twist, a step multiplies the weight of
its particle by

.. math:: \frac{p(x_s \mid x_t)\, \tilde p(v \mid x_s)}{q(x_s \mid x_t, v)\, \tilde p(v \mid x_t)}

and particles are drawn again by their weights where these have become unequal. The products telescope: any twist that
ends as the likelihood makes the result right in the limit of many particles, and a good one, such as that whose
gradient is the guidance, needs few of them.

p and q are the normal steps of SDE-DPM-Solver++(2M) (`genkit/diffusion/dpm_solver.py`), of equal variance, around the
line through the last two posterior means, q's moved by the guidance. In the scale of x̄ = x_t / α, r = (σ̄_s / σ̄_t)²:

.. math:: N\big(r\, \bar x_t + (1 - r)\,(\hat D + g),\; \bar\sigma_s^2 (1 - r) I\big), \quad g = 0 \text{ for } p

Reference: Sequential Monte Carlo samplers (Del Moral et al. 2006).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from genkit.diffusion.denoiser import RowLabelled
from genkit.inverse.posterior_sampler import (
    ITERATIONS,
    Observation,
    RepeatedNoise,
    quadratic,
    systematic,
    uniform,
)
from genkit.noise import Noise

LEAST = 0.5  # share of the particles that count, below which they are drawn again


@dataclass(frozen=True)
class Look:
    """An answer of a guided denoiser about noisy points.

    Attributes:
        mean: E[x | x_t], (B, *shape).
        guidance: g, what the measurement adds to it.
        log_twist: log p̃(v | x_t) up to a constant of the level, (B,) float64.
    """

    mean: Tensor
    guidance: Tensor
    log_twist: Tensor

    def taken(self, rows: Tensor) -> Look:
        """Of some of the points."""
        return Look(self.mean[rows], self.guidance[rows], self.log_twist[rows])


Looking = Callable[[Tensor, Tensor], Look]  # x̄ (B, *shape) and the level σ̄ () to what is said of them


@dataclass(frozen=True)
class Cloud:
    """Particles of several examples at one level.

    Attributes:
        x_bar: (B, *shape).
        look: What is said of them.
        log_w: (B,) float64.
        last: The posterior means one level higher, and by how much that was lower in log σ̄; None at the first.
    """

    x_bar: Tensor
    look: Look
    log_w: Tensor
    last: tuple[Tensor, float] | None = None


class TwistedParticles:
    """Weighed guided steps from the first of some levels to the last.

    Args:
        looking: The guided denoiser.
        levels: (L,) σ̄, falling.
        observation: A row for each example.
        many: Particles of each.
        labels: The denoiser whose labels the particles carry, None where they carry none.
    """

    def __init__(
        self, looking: Looking, levels: Tensor, observation: Observation, many: int, labels: RowLabelled | None
    ) -> None:
        self.looking, self.levels, self.many, self.labels = looking, levels, many, labels
        self.n, self.each = len(observation.v), observation.repeated(many)

    def __call__(self, k: int, noise: Noise) -> Tensor:
        """k draws of each example, (n, k, *shape); the noise has a row for each example."""
        drawn = RepeatedNoise(noise, self.many)
        if self.labels is not None:
            self.labels.begin(uniform(noise), self.many, self.each.v.device)
        x_bar = self.levels[0] * drawn(*self.each.task.in_shape).to(self.each.v)
        look = self.looking(x_bar, self.levels[0])
        cloud = Cloud(x_bar, look, look.log_twist)
        for level, lower in pairwise(self.levels):
            cloud = self._moved(self._resampled(cloud, noise), level, lower, drawn)
        x = cloud.look.mean
        r = self.each.v - self.each.task.measure(x)
        likelihood = -0.5 * quadratic(self.each.task, r, 0.0, ITERATIONS).double()
        shares = self._shares(cloud.log_w + likelihood - cloud.look.log_twist)
        rows = self._rows(systematic(shares, k, noise))
        if self.labels is not None:
            self.labels.take(rows)
        return x[rows].unflatten(0, (self.n, k))

    def _moved(self, cloud: Cloud, level: Tensor, lower: Tensor, noise: Noise) -> Cloud:
        """The particles one level lower, with their weights."""
        look, h = cloud.look, float((level / lower).log())
        line = look.mean
        if cloud.last is not None:
            mean, last_h = cloud.last
            line = look.mean + h / (2 * last_h) * (look.mean - mean)
        r = (lower / level) ** 2
        std = lower * (1 - r).sqrt()
        eps = noise(*cloud.x_bar.shape[1:]).to(cloud.x_bar)
        x_bar = r * cloud.x_bar + (1 - r) * (line + look.guidance) + std * eps
        moved = (1 - r) / std * look.guidance  # by so many standard deviations q is beside p
        log_ratio = -(eps * moved + moved.square() / 2).flatten(1).sum(1).double()
        after = self.looking(x_bar, lower)
        log_w = cloud.log_w + log_ratio + after.log_twist - look.log_twist
        return Cloud(x_bar, after, log_w, (look.mean, h))

    def _resampled(self, cloud: Cloud, noise: Noise) -> Cloud:
        """The particles of an example drawn again by their weights, where too few of them count."""
        w = self._shares(cloud.log_w)
        few = 1 / w.square().sum(1) < LEAST * self.many
        same, again = torch.arange(self.many, device=w.device), systematic(w, self.many, noise)
        rows = self._rows(torch.where(few[:, None], again, same))
        if self.labels is not None:
            self.labels.take(rows)
        last = None if cloud.last is None else (cloud.last[0][rows], cloud.last[1])
        log_w = cloud.log_w.masked_fill(few.repeat_interleave(self.many), 0.0)
        return replace(cloud, x_bar=cloud.x_bar[rows], look=cloud.look.taken(rows), log_w=log_w, last=last)

    def _shares(self, log_w: Tensor) -> Tensor:
        """Weights (n, many) that sum to 1."""
        return log_w.unflatten(0, (self.n, self.many)).softmax(1)

    def _rows(self, chosen: Tensor) -> Tensor:
        """Numbers of particles of each example (n, …) to rows of all."""
        return (chosen + self.many * torch.arange(self.n, device=chosen.device)[:, None]).flatten()
