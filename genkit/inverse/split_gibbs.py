r"""Split Gibbs sampling with resampling: the posterior of a linear measurement from a denoiser, without its gradient.

A pair (x, z) of the clean example and a point near it is drawn from

.. math:: p(x)\, N(z; x, \rho^2 I)\, N(v; A z, \sigma^2 I)

in turns: z given x is normal, and x given z is what a diffusion model draws when it starts at z with the noise level ρ.
The marginal of x is the posterior with the measurement blurred to σ² + ρ² A A*; as ρ falls it becomes the posterior
itself (Vono et al. 2019; Wu et al. 2024, 2405.18782; Xu & Chi 2024, 2403.17042).

While ρ falls, such a chain leaves a mode that it is in no more, so its modes keep the shares that they had at a high ρ.
So they are resampled: particles of one example are weighted by

.. math:: N(v; A x, \sigma^2 + \rho_{i+1}^2 A A^*) \,/\, N(v; A x, \sigma^2 + \rho_i^2 A A^*)

from one level to the next and drawn again by their weights where these have become unequal (annealed importance
sampling, Neal 2001; sequential Monte Carlo samplers, Del Moral et al. 2006). That needs no density of the prior, and
the result is right in the limit of many particles, of fine steps and of the true denoiser, whatever the number of
modes.
"""

from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import PositiveFloat, PositiveInt, Probability, Range
from genkit.diffusion.denoiser import Denoiser, RowLabelled
from genkit.diffusion.dpm_solver import DPMSolverSampler
from genkit.inverse.gibbs_refinement import denoised_from
from genkit.inverse.posterior_sampler import (
    ITERATIONS,
    Observation,
    PosteriorSampler,
    RepeatedNoise,
    given_measurement,
    levels_between,
    quadratic,
    systematic,
    uniform,
)
from genkit.noise import Noise


class SplitGibbs(PosteriorSampler):
    """Annealed split Gibbs sampling of particles that are resampled.

    Of images `steps=4 particles=8`, which spends evaluations on particles and leaves denoising coarse, is as near and
    several times as fast; shares of modes are then wrong where the posterior is known.

    Arguments:
        denoiser: E[x | x_t].
        levels: Number of noise levels ρ.
        steps: Denoising steps from pure noise; from a lower level as many fewer as its time is shorter.
        particles: For each draw that is asked for; all particles of an example are resampled together.
        highest, lowest: The first and the last ρ, in model units.
        least: Share of the particles that count below which they are drawn again.
        iterations: Of conjugate gradients, where A is no selection of values.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        levels: Annotated[int, Range(2, 10_000)] = 30,
        steps: Annotated[int, Range(2, 1000)] = 32,
        particles: Annotated[int, Range(1, 10_000)] = 4,
        highest: PositiveFloat = 10.0,
        lowest: PositiveFloat = 0.03,
        least: Probability = 0.5,
        iterations: PositiveInt = ITERATIONS,
    ) -> None:
        self.sampler = DPMSolverSampler(denoiser=denoiser, steps=steps, eta=1.0)
        self.levels, self.steps, self.particles = levels, steps, particles
        self.highest, self.lowest, self.least, self.iterations = highest, lowest, least, iterations

    def rows(self, k: int) -> int:
        return k * self.particles

    def __call__(self, observation: Observation, k: int, noise: Noise) -> Tensor:
        n, many = len(observation.v), self.rows(k)
        task, v = (each := observation.repeated(many)).task, each.v
        drawn = RepeatedNoise(noise, many)
        schedule = self.sampler.denoiser.schedule
        _, sigma = schedule(torch.ones((), device=v.device))
        if isinstance(denoiser := self.sampler.denoiser, RowLabelled):
            denoiser.begin(uniform(noise), many, v.device)
        x = denoised_from(
            self.sampler, self.steps, sigma.to(v) * drawn(*task.in_shape).to(v), torch.ones((), device=v.device), drawn
        )
        levels = levels_between(schedule, self.highest, self.lowest, self.levels, v)
        log_w = self._log_likelihood(x, observation, levels[0], many)
        for level, following in pairwise([*levels, None]):
            x, log_w = self._resampled(x, log_w, n, noise)
            alpha, _ = schedule(t := schedule.time(level))
            z = given_measurement(task, v, x, level, drawn, self.iterations)
            x = denoised_from(self.sampler, self.steps, alpha * z, t, drawn)
            if following is not None:
                after = self._log_likelihood(x, observation, following, many)
                log_w = log_w + after - self._log_likelihood(x, observation, level, many)
        return self._chosen(x, log_w, n, k, noise)

    def _log_likelihood(self, x: Tensor, observation: Observation, level: Tensor, many: int) -> Tensor:
        """log N(v; A x, σ² + level² A A*) of the particles up to a constant of each example, (B, many) float64."""
        each = observation.repeated(many)
        r = each.v - each.task.measure(x)
        return -0.5 * quadratic(each.task, r, level, self.iterations).double().unflatten(0, (-1, many))

    def _resampled(self, x: Tensor, log_w: Tensor, n: int, noise: Noise) -> tuple[Tensor, Tensor]:
        """The particles of each example drawn again by their weights (n, many), where too few of them count."""
        w = log_w.softmax(1)
        few = 1 / w.square().sum(1) < self.least * w.shape[1]
        rows = torch.where(few[:, None], systematic(w, w.shape[1], noise), torch.arange(w.shape[1], device=x.device))
        own = (rows + w.shape[1] * torch.arange(n, device=x.device)[:, None]).flatten()
        if isinstance(denoiser := self.sampler.denoiser, RowLabelled):
            denoiser.take(own)
        return x[own], log_w.masked_fill(few[:, None], 0.0)

    def _chosen(self, x: Tensor, log_w: Tensor, n: int, k: int, noise: Noise) -> Tensor:
        """k particles of each example by their weights, (n, k, …)."""
        rows = systematic(log_w.softmax(1), k, noise)
        return x.unflatten(0, (n, -1))[torch.arange(n, device=x.device)[:, None], rows]
