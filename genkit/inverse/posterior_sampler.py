"""The contract of samplers of the posterior p(x | v) of a linear measurement, and what they share.

A posterior sampler is built on what it needs of a model — a denoiser, or a decoder of normal latents — and is asked for
k draws of every example. The draws of example i are a function of the noise of row i alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.component import Component
from genkit.diffusion.denoiser import Denoiser
from genkit.diffusion.sampler import Sampler
from genkit.diffusion.schedule import Schedule
from genkit.diffusion.stochastic import AncestralSampler
from genkit.inverse.linear_task import LinearTask, Mask
from genkit.noise import Noise

STEPS = 50  # of a sampler that is guided by a measurement
ITERATIONS = 30  # of conjugate gradients where no network is asked
RHO = 7.0  # levels are evenly spaced in level^(1/7) (Karras et al. 2022, 2206.00364)


@dataclass(frozen=True)
class Observation:
    """Measurements of B examples.

    Attributes:
        task: How they were measured.
        v: (B, *task.out_shape) in model units.
    """

    task: LinearTask
    v: Tensor

    @property
    def counts(self) -> Tensor:
        """(B,) measured values of each example, at least one."""
        return self.task.measured(self.v).flatten(1).sum(1).clamp(min=1)

    def repeated(self, k: int) -> "Observation":
        """Every example k times, one after the other: B · k of them."""
        task = self.task
        if isinstance(task, Mask) and task.known.ndim > len(task.in_shape):
            task = Mask(task.known.repeat_interleave(k, 0), task.in_shape, task.sigma)
        return Observation(task, self.v.repeat_interleave(k, 0))


class PosteriorSampler(Component, ABC):
    """Draws x from p(x | v)."""

    @abstractmethod
    def rows(self, k: int) -> int:
        """Rows that k draws of one example take at once."""

    @abstractmethod
    def __call__(self, observation: Observation, k: int, noise: Noise) -> Tensor:
        """(B, k, *in_shape): k draws for each of the B examples.

        Args:
            observation: What was measured.
            k: Draws of each example.
            noise: Source of the randomness, a row for each example.
        """


class RepeatedNoise:
    """The noise of B examples as that of k draws of each: (B · k, …).

    Args:
        noise: Of the examples.
        k: Draws of each.
    """

    def __init__(self, noise: Noise, k: int) -> None:
        self.noise, self.k = noise, k

    def __call__(self, *shape: int) -> Tensor:
        return self.noise(self.k, *shape).flatten(0, 1)


def ancestral(*, denoiser: Denoiser) -> Sampler:
    """The usual sampler of guided denoisers: ancestral steps."""
    return AncestralSampler(denoiser=denoiser, steps=STEPS)


def uniform(noise: Noise) -> Tensor:
    """One number in (0, 1) for each row, (n, 1) float64."""
    return torch.special.ndtr(noise(1).double())


def systematic(w: Tensor, k: int, noise: Noise) -> Tensor:
    """k numbers of particles by weights w (n, many), (n, k): systematic resampling (Kitagawa 1996)."""
    u = uniform(noise).to(w)
    places = (torch.arange(k, device=w.device) + u) / k
    return torch.searchsorted(w.cumsum(1).contiguous(), places.contiguous()).clamp(max=w.shape[1] - 1)


def begun(sampler: Sampler, each: Observation, noise: Noise) -> tuple[Tensor, Tensor]:
    """The times of a sampler that is told its noise, and pure noise at the first of them, a row for each draw."""
    sampler.begin(noise)
    times = sampler.times(each.v)
    _, sigma = sampler.denoiser.schedule(times[0])
    return times, sigma * noise(*each.task.in_shape).to(each.v)


def levels_between(schedule: Schedule, highest: float, lowest: float, count: int, like: Tensor) -> Tensor:
    """(count,) noise levels σ̄ from high to low, those beyond the schedule's own at its ends."""
    low = max(lowest, float(schedule.level(torch.zeros(()))))
    high = max(min(highest, float(schedule.level(torch.ones(())))), low)
    ends = torch.tensor([high, low], dtype=torch.float64) ** (1 / RHO)
    return torch.lerp(ends[0], ends[1], torch.linspace(0, 1, count, dtype=torch.float64)).pow(RHO).to(like)


def quadratic(task: LinearTask, r: Tensor, level: float | Tensor, iterations: int) -> Tensor:
    """r* (σ² + level² A A*)⁻¹ r for residuals r (B, *out_shape), (B,): −2 log N(r; 0, ·) up to a constant."""
    return (r * whitened(task, r, level, iterations)).flatten(1).sum(1)


def whitened(task: LinearTask, r: Tensor, level: float | Tensor, iterations: int) -> Tensor:
    """(σ² + level² A A*)⁻¹ r for residuals r (B, *out_shape)."""

    def covariance(u: Tensor) -> Tensor:
        return task.sigma**2 * u + level**2 * task.measure(task.adjoint(u))

    return conjugate_gradients(covariance, r, iterations)


def given_measurement(
    task: LinearTask, v: Tensor, x: Tensor, level: float | Tensor, noise: Noise, iterations: int
) -> Tensor:
    r"""Draw z from p(z | x, v) ∝ N(z; x, level²) N(v; A z, σ²), (B, *in_shape).

    A draw from the normal around x is moved by what a measurement of it would have missed (Matheron's rule; Wilson et
    al. 2021, 2011.04026):

    .. math:: z = u + l^2 A^* (\sigma^2 + l^2 A A^*)^{-1} (v + \sigma \epsilon - A u), \quad u \sim N(x, l^2)
    """
    u = x + level * noise(*task.in_shape).to(x)
    eps = torch.where(task.measured(v), noise(*task.out_shape).to(v), 0.0)
    missed = v + task.sigma * eps - task.measure(u)
    return u + level**2 * task.adjoint(whitened(task, missed, level, iterations))


def conjugate_gradients(
    apply: Callable[[Tensor], Tensor], right: Tensor, iterations: int, tolerance: float = 1e-5
) -> Tensor:
    """Solve M u = right row by row, M symmetric and positive definite (Hestenes & Stiefel 1952).

    Args:
        apply: u (B, …) to M u.
        right: (B, …).
        iterations: At most so many; a row stops where its residual is small beside its right-hand side.
        tolerance: How small.
    """
    u = torch.zeros_like(right)
    r = p = right
    rr = _squares(r)
    least = tolerance**2 * rr
    for _ in range(iterations):
        going = rr > least
        if not bool(going.any()):
            break
        mp = apply(p)
        curvature = (p * mp).flatten(1).sum(1)
        step = torch.where(going & (curvature > 0), rr / curvature.clamp(min=1e-30), 0.0)
        u = u + _beside(step, p) * p
        r = r - _beside(step, p) * mp
        rr, before = _squares(r), rr
        p = r + _beside(rr / before.clamp(min=1e-30), p) * p
    return u


def _squares(x: Tensor) -> Tensor:
    return x.square().flatten(1).sum(1)


def _beside(value: Tensor, x: Tensor) -> Tensor:
    return value.reshape(-1, *[1] * (x.ndim - 1))
