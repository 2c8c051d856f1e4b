r"""Samplers: from noise at t = 1 to data at t = 0, using a denoiser alone.

With x̄ = x_t / alpha_t and noise level σ = sigma_t / alpha_t, the probability-flow ODE of every schedule is

.. math:: \frac{d \bar x}{d \sigma} = \frac{\bar x - D(x_t, t)}{\sigma}

(Song et al. 2020, 2011.13456; Karras et al. 2022, 2206.00364), so a solver written for it serves all schedules and all
parametrisations. The loop stands once, in `Sampler`; a solver is one `step` from t to s < t. The last step, to σ = 0,
returns the posterior mean.

Adding noise on the way and removing more in turn samples the same law; such solvers ask `fresh` for it, row by row a
function of the sample, so that no sample depends on its batch.

In this file: the contract, Euler and Heun. Others: `stochastic.py`, `dpm_solver.py`, `adaptive.py`.
"""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Annotated, Protocol

import torch
from torch import Tensor

from genkit.component import Component, NonNegativeFloat, Range
from genkit.diffusion.denoiser import Denoiser
from genkit.diffusion.time_grid import Grid, UniformGrid
from genkit.errors import ConfigError
from genkit.noise import Noise

Steps = Annotated[int, Range(1, 100_000)]
MOST_CHURN = 2**0.5 - 1  # at which the added noise is as large as what was there


class Sampler(Component, ABC):
    """Integrates from t = 1 to 0 in `steps` steps.

    What one run remembers (its noise, what its last step saw) is set in `begin`, so a sampler serves one run at a time.

    Attributes:
        denoiser: D(x_t, t).
        steps: Number of steps, the last one to the posterior mean included.
        grid: Where the steps end.
    """

    def __init__(self, denoiser: Denoiser, steps: int, grid: Grid | None = None) -> None:
        self.denoiser = denoiser
        self.steps = steps
        self.grid = grid or UniformGrid()
        self.begin(None)

    def __call__(self, x_1: Tensor, noise: Noise | None = None) -> Tensor:
        """x_1 (B, *shape) at t = 1 to x (B, *shape); `noise` is what a stochastic solver draws from.

        Raises ConfigError where a solver needs noise and has none.
        """
        self.begin(noise)
        x_t, times = x_1, self.times(x_1)
        for t, s in pairwise(times):
            x_t = self.step(x_t, t, s)
        return self.mean(x_t, times[-1])

    def begin(self, noise: Noise | None) -> None:
        """Start a run; solvers with a memory clear it here."""
        self.noise = noise

    def times(self, like: Tensor) -> Tensor:
        """(steps,) times from 1 to 0."""
        return self.grid(self.steps, self.denoiser.schedule).to(like)

    def mean(self, x_t: Tensor, t: Tensor) -> Tensor:
        """E[x | x_t] at the time t, shape ()."""
        return self.denoiser(x_t, t.expand(len(x_t)))

    def fresh(self, like: Tensor) -> Tensor:
        """Standard normal noise (B, *shape) that the run has not seen."""
        if self.noise is None:
            raise ConfigError(f"{type(self).__name__} adds noise at every step: it needs noise=")
        return self.noise(*like.shape[1:]).to(like)

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
    """A model's `sampler` argument: a solver and its steps, to be given the model's denoiser."""

    def __call__(self, *, denoiser: Denoiser) -> Sampler: ...


class EulerSampler(Sampler):
    """First order, one evaluation a step; on a variance-preserving schedule this is deterministic DDIM (2010.02502).

    Arguments:
        denoiser: D(x_t, t).
        steps: Number of steps.
        grid: Where they end; None: equal steps of t.
    """

    def __init__(self, *, denoiser: Denoiser, steps: Steps = 50, grid: Grid | None = None) -> None:
        super().__init__(denoiser, steps, grid)

    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return self.move(x_t, t, s, self.slope(x_t, t))


class HeunSampler(Sampler):
    """Second order, two evaluations a step (2 · steps − 1 in all), with noise added on the way where churn > 0.

    References: Karras et al. 2022, 2206.00364, algorithms 1 and 2.

    Arguments:
        denoiser: D(x_t, t).
        steps: Number of steps.
        grid: Where they end; None: equal steps of t.
        churn: S_churn: each step first raises the noise level by churn / steps, at most by 41 %; 0: none.
        churn_low, churn_high: The levels between which it does so.
        churn_noise: Standard deviation of the added noise, in units of the exact one.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        steps: Steps = 18,
        grid: Grid | None = None,
        churn: NonNegativeFloat = 0.0,
        churn_low: NonNegativeFloat = 0.0,
        churn_high: NonNegativeFloat = 1e6,
        churn_noise: Annotated[float, Range(0.5, 2.0)] = 1.0,
    ) -> None:
        super().__init__(denoiser, steps, grid)
        self.rise = min(churn / steps, MOST_CHURN)
        self.churn_low, self.churn_high, self.churn_noise = churn_low, churn_high, churn_noise

    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        if self.rise > 0 and self.churn_low <= self.denoiser.schedule.level(t) <= self.churn_high:
            x_t, t = self._churned(x_t, t)
        first = self.slope(x_t, t)
        second = self.slope(self.move(x_t, t, s, first), s)
        return self.move(x_t, t, s, (first + second) / 2)

    def _churned(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x and the time after noise is added, no further than to the schedule's own end."""
        schedule = self.denoiser.schedule
        higher = torch.maximum(t, schedule.time(schedule.level(t) * (1 + self.rise)))
        (alpha, sigma), (alpha_h, sigma_h) = schedule(t), schedule(higher)
        added = ((sigma_h / alpha_h) ** 2 - (sigma / alpha) ** 2).clamp(min=0).sqrt()
        return alpha_h * (x_t / alpha + self.churn_noise * added * self.fresh(x_t)), higher
