r"""Samplers: from noise at t = 1 to data at t = 0, using a denoiser alone.

With x̄ = x_t / alpha_t and noise level σ = sigma_t / alpha_t, the probability-flow ODE of every schedule is

.. math:: \frac{d \bar x}{d \sigma} = \frac{\bar x - D(x_t, t)}{\sigma}

(Song et al. 2020, 2011.13456; Karras et al. 2022, 2206.00364), so a solver written for it serves all schedules and all
parametrisations. The loop stands once, in `Sampler`; a solver is one `step` from t to s < t. The last step, to σ = 0,
returns the posterior mean.
"""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Annotated, Protocol

import torch
from torch import Tensor

from genkit.component import Component, Range
from genkit.diffusion.denoiser import Denoiser

Steps = Annotated[int, Range(1, 100_000)]


class Sampler(Component, ABC):
    """Integrates from t = 1 to 0 in `steps` steps on the schedule's own grid.

    Attributes:
        denoiser: D(x_t, t).
        steps: Number of steps, the last one to the posterior mean included.
    """

    def __init__(self, denoiser: Denoiser, steps: int) -> None:
        self.denoiser = denoiser
        self.steps = steps

    def times(self, like: Tensor) -> Tensor:
        """(steps,) times from 1 to 0, equally spaced."""
        return torch.linspace(1, 0, self.steps, dtype=like.dtype, device=like.device)

    def __call__(self, x_1: Tensor) -> Tensor:
        """x_1 (B, *shape) at t = 1 to x (B, *shape)."""
        x_t, times = x_1, self.times(x_1)
        for t, s in pairwise(times):
            x_t = self.step(x_t, t, s)
        return self.mean(x_t, times[-1])

    def mean(self, x_t: Tensor, t: Tensor) -> Tensor:
        """E[x | x_t] at the time t, shape ()."""
        return self.denoiser(x_t, t.expand(len(x_t)))

    def slope(self, x_t: Tensor, t: Tensor) -> Tensor:
        """d x̄ / d σ at t."""
        alpha, sigma = self.denoiser.schedule(t)
        return (x_t / alpha - self.mean(x_t, t)) * (alpha / sigma)

    def move(self, x_t: Tensor, t: Tensor, s: Tensor, slope: Tensor) -> Tensor:
        """x_s when the slope d x̄ / d σ is constant between t and s."""
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        return alpha_s * (x_t / alpha_t + (sigma_s / alpha_s - sigma_t / alpha_t) * slope)

    @abstractmethod
    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """x_t (B, *shape) at t to x_s at s < t; t and s of shape ()."""


class SamplerFactory(Protocol):
    """What a model's `sampler` argument is: the solver and its steps are chosen, the denoiser is the model's."""

    def __call__(self, *, denoiser: Denoiser) -> Sampler: ...


class EulerSampler(Sampler):
    """First order, one evaluation a step; on a variance-preserving schedule this is deterministic DDIM (2010.02502).

    Arguments:
        denoiser: D(x_t, t).
        steps: Number of steps.
    """

    def __init__(self, *, denoiser: Denoiser, steps: Steps = 50) -> None:
        super().__init__(denoiser, steps)

    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return self.move(x_t, t, s, self.slope(x_t, t))


class HeunSampler(Sampler):
    """Second order, two evaluations a step (2 · steps − 1 in all; Karras et al. 2022, algorithm 1).

    Arguments:
        denoiser: D(x_t, t).
        steps: Number of steps.
    """

    def __init__(self, *, denoiser: Denoiser, steps: Steps = 18) -> None:
        super().__init__(denoiser, steps)

    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        first = self.slope(x_t, t)
        second = self.slope(self.move(x_t, t, s, first), s)
        return self.move(x_t, t, s, (first + second) / 2)
