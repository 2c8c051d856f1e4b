r"""Refinement of draws by split Gibbs sampling at falling noise.

Particles that were drawn again by their weights have few ancestors, so that the draws of one example may be equal.
Noise of the level ρ and a denoising bring back the differences that are decided below it: z is drawn from
N(z; x, ρ² I) N(v; A z, σ² I), then x as a diffusion draws it from z (see `split_gibbs.py`). Each turn keeps the
posterior of a measurement blurred by ρ; a first level at which modes still mix would give them the shares of that.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import torch
from torch import Tensor

from genkit.diffusion.dpm_solver import DPMSolverSampler
from genkit.inverse.posterior_sampler import ITERATIONS, Observation, given_measurement
from genkit.noise import Noise


def refined(
    sampler: DPMSolverSampler, steps: int, each: Observation, x: Tensor, levels: Tensor, noise: Noise
) -> Tensor:
    """x (B, *shape) after a turn at each level.

    Args:
        sampler: A stochastic one.
        steps: Of denoising from pure noise.
        each: What was measured, a row for each of x.
        x: Draws.
        levels: (L,) ρ, falling.
        noise: A row for each of x.
    """
    schedule = sampler.denoiser.schedule
    for level in levels:
        alpha, _ = schedule(t := schedule.time(level))
        z = given_measurement(each.task, each.v, x, level, noise, ITERATIONS)
        x = denoised_from(sampler, steps, alpha * z, t, noise)
    return x


def denoised_from(sampler: DPMSolverSampler, steps: int, x_t: Tensor, t: Tensor, noise: Noise) -> Tensor:
    """Draw x from p(x | x_t), from t down to 0; `steps` is their number from pure noise."""
    sampler.begin(noise)
    count = max(2, ceil(steps * float(t)))
    times = t * torch.linspace(1, 0, count, device=x_t.device, dtype=x_t.dtype)
    for s, u in pairwise(times):
        x_t = sampler.step(x_t, s, u)
    return sampler.mean(x_t, times[-1])
