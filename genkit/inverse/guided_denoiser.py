r"""Guidance by a measurement: the posterior mean E[x | x_t, v] from a denoiser and its derivative.

With x̄ = x_t / α, the noise level σ̄ and the denoiser's Jacobian J = ∂D/∂x̄, Tweedie's formula of the measured example
is

.. math:: E[x \mid x_t, v] = D + \bar\sigma^2 J^T A^* (A V A^* + \sigma^2 I)^{-1} (v - A D)

for a normal p(x | x_t) = N(D, V). The algorithms differ in V:

* MMPS: V = σ̄² J, the true covariance, by conjugate gradients (Rozet et al. 2024, 2405.13712).
* ΠGDM: V = r² I with r² = σ̄² s² / (σ̄² + s²), s the data's standard deviation (Song et al. 2023, ICLR).
* DPS: no matrix at all, the residual's length instead (Chung et al. 2022, 2209.14687): a step towards the measurement
  whose size is chosen, so that the result depends on the number of steps.

Each is a denoiser again, which every sampler takes. None of them is right where p(x | x_t) has several modes: the
shares of these are decided at high noise, where the normal is a poor picture of it. Particles that are weighed by what
guidance got wrong are (`twisted_particles.py`), with the twist N(v; A D, A V A* + σ² I) without its determinant.
"""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import PositiveFloat, Range
from genkit.diffusion.denoiser import Denoiser, RowLabelled, expand_to
from genkit.diffusion.dpm_solver import DPMSolverSampler
from genkit.diffusion.sampler import SamplerFactory
from genkit.diffusion.stochastic import AncestralSampler
from genkit.errors import ConfigError
from genkit.inverse.gibbs_refinement import refined
from genkit.inverse.posterior_sampler import (
    ITERATIONS,
    STEPS,
    Observation,
    PosteriorSampler,
    RepeatedNoise,
    ancestral,
    begun,
    conjugate_gradients,
    levels_between,
    whitened,
)
from genkit.inverse.twisted_particles import Look, TwistedParticles
from genkit.noise import Noise

HIGHEST, LOWEST = 40.0, 0.02  # noise levels between which particles move, in model units
REFINED_FROM = 0.5  # level of the first turn of refinement, in model units
PARTICLES = 8
FEWER = 24  # steps of particles that are guided by one variance: cheap, and as near on images as twice as many
Steps = Annotated[int, Range(2, 10_000)]
Particles = Annotated[int, Range(1, 10_000)]
Turns = Annotated[int, Range(0, 1000)]

Whitening = Callable[[Observation, Tensor, Tensor, Callable[[Tensor], Tensor]], Tensor]


class GuidedDenoiser(Denoiser):
    """E[x | x_t, v] of measured examples.

    Arguments:
        denoiser: E[x | x_t].
        observation: A row for each row of x_t.
        whitened: (noise level (B, 1, …), v − A D, vector–Jacobian product) to (A V A* + σ²)⁻¹ (v − A D).
    """

    def __init__(self, denoiser: Denoiser, observation: Observation, whitened: Whitening) -> None:
        super().__init__()
        self.denoiser, self.schedule, self.observation = denoiser, denoiser.schedule, observation
        self.whitened = whitened

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        look = self.look(x_t, t, y)
        return look.mean + look.guidance

    def look(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Look:
        """The parts of the mean, and −½ r* (A V A* + σ²)⁻¹ r of the residual r = v − A D."""
        alpha, sigma = (expand_to(value, x_t) for value in self.schedule(t))
        with torch.enable_grad():
            x_bar = (x_t / alpha).detach().requires_grad_(True)
            clean = self.denoiser(alpha * x_bar, t, y)

        def pulled(u: Tensor) -> Tensor:
            return torch.autograd.grad(clean, x_bar, u, retain_graph=True)[0]

        mean, task, level = clean.detach(), self.observation.task, sigma / alpha
        residual = self.observation.v - task.measure(mean)
        u = self.whitened(self.observation, level, residual, pulled)
        log_twist = -0.5 * (residual * u).flatten(1).sum(1).double()
        return Look(mean, level**2 * pulled(task.adjoint(u)), log_twist)


class Guided(PosteriorSampler):
    """A guided denoiser: a sampler run on it, or particles that are weighed and resampled."""

    denoiser: Denoiser
    sampler: SamplerFactory | None
    steps: int
    particles: int
    refine: int

    @abstractmethod
    def whitened(
        self, observation: Observation, level: Tensor, residual: Tensor, pulled: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """(A V A* + σ²)⁻¹ (v − A D), (B, *out_shape).

        Args:
            observation: What was measured.
            level: σ̄, (B, 1, …).
            residual: v − A D.
            pulled: u to Jᵀ u, (B, *shape).
        """

    def rows(self, k: int) -> int:
        return k * self.particles

    def __call__(self, observation: Observation, k: int, noise: Noise) -> Tensor:
        each = observation.repeated(self.rows(k))
        guided = GuidedDenoiser(self.denoiser, each, self.whitened)
        if self.particles > 1:
            return self._of_particles(guided, observation, k, noise)
        drawn = RepeatedNoise(noise, k)
        sampler = (self.sampler or partial(AncestralSampler, steps=self.steps))(denoiser=guided)
        _, sigma = self.denoiser.schedule(torch.ones((), device=each.v.device))
        x = sampler(sigma.to(each.v) * drawn(*each.task.in_shape).to(each.v), drawn)
        return x.detach().unflatten(0, (-1, k))

    def _of_particles(self, guided: GuidedDenoiser, observation: Observation, k: int, noise: Noise) -> Tensor:
        """Raises ConfigError where a sampler is named: particles have steps of their own."""
        if self.sampler is not None:
            raise ConfigError(
                "posterior.sampler: particles are weighed by steps of their own: "
                "leave it out, or choose posterior.particles=1"
            )
        schedule = self.denoiser.schedule
        levels = levels_between(schedule, HIGHEST, LOWEST, self.steps, observation.v)

        def looking(x_bar: Tensor, level: Tensor) -> Look:
            alpha, _ = schedule(t := schedule.time(level))
            return guided.look(alpha * x_bar, t.expand(len(x_bar)))

        labels = self.denoiser if isinstance(self.denoiser, RowLabelled) else None
        x = TwistedParticles(looking, levels, observation, self.rows(k), labels)(k, noise)
        if self.refine == 0:
            return x
        sampler, drawn = DPMSolverSampler(denoiser=self.denoiser, steps=self.steps, eta=1.0), RepeatedNoise(noise, k)
        falling = levels_between(schedule, REFINED_FROM, LOWEST, max(self.refine, 2), x)[: self.refine]
        each = observation.repeated(k)
        return refined(sampler, self.steps, each, x.flatten(0, 1), falling, drawn).unflatten(0, (-1, k))


class MMPS(Guided):
    """Moment matching posterior sampling (2405.13712): V is the denoiser's own covariance.

    Arguments:
        denoiser: E[x | x_t].
        sampler: What integrates one particle; None takes ancestral steps.
        steps: Of it where none is named, and of several particles.
        particles: For each draw that is asked for; more than 1 are weighed and resampled (`twisted_particles.py`).
        refine: Turns of split Gibbs sampling after them, which tell draws apart (`gibbs_refinement.py`); 0: none.
        iterations: Of conjugate gradients, a vector–Jacobian product each.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        sampler: SamplerFactory | None = None,
        steps: Steps = STEPS,
        particles: Particles = PARTICLES,
        refine: Turns = 0,
        iterations: Annotated[int, Range(1, 100)] = 3,
    ) -> None:
        self.denoiser, self.sampler, self.steps = denoiser, sampler, steps
        self.particles, self.refine = particles, refine
        self.iterations = iterations

    def whitened(
        self, observation: Observation, level: Tensor, residual: Tensor, pulled: Callable[[Tensor], Tensor]
    ) -> Tensor:
        task, variance = observation.task, level**2

        def covariance(u: Tensor) -> Tensor:
            return task.sigma**2 * u + task.measure(variance * pulled(task.adjoint(u)))

        return conjugate_gradients(covariance, residual, self.iterations)


class PiGDM(Guided):
    """Pseudoinverse-guided diffusion (Song et al. 2023): V is one number at each noise level.

    Arguments:
        denoiser: E[x | x_t].
        sampler: What integrates one particle; None takes ancestral steps.
        steps: Of it where none is named, and of several particles.
        particles: For each draw that is asked for; more than 1 are weighed and resampled (`twisted_particles.py`).
        refine: Turns of split Gibbs sampling after them, which tell draws apart (`gibbs_refinement.py`); 0: none.
        data_std: s, standard deviation of the data in model units.
        iterations: Of conjugate gradients, without the network.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        sampler: SamplerFactory | None = None,
        steps: Steps = FEWER,
        particles: Particles = PARTICLES,
        refine: Turns = 0,
        data_std: PositiveFloat = 1.0,
        iterations: Annotated[int, Range(1, 1000)] = ITERATIONS,
    ) -> None:
        self.denoiser, self.sampler, self.steps = denoiser, sampler, steps
        self.particles, self.refine = particles, refine
        self.data_std, self.iterations = data_std, iterations

    def whitened(
        self, observation: Observation, level: Tensor, residual: Tensor, pulled: Callable[[Tensor], Tensor]
    ) -> Tensor:
        variance = level**2 * self.data_std**2 / (level**2 + self.data_std**2)
        return whitened(observation.task, residual, variance.sqrt(), self.iterations)


class DPS(PosteriorSampler):
    """Diffusion posterior sampling (2209.14687): after each step one against the residual, of a chosen length.

    Its result is a function of `scale` and of the number of steps; on problems with a known answer it is an order of
    magnitude further off than the others.

    Arguments:
        denoiser: E[x | x_t].
        sampler: What integrates; None takes ancestral steps.
        scale: ζ, the step is ζ times the gradient of the residual's length.
    """

    def __init__(
        self, *, denoiser: Denoiser, sampler: SamplerFactory | None = None, scale: PositiveFloat = 1.0
    ) -> None:
        self.denoiser, self.sampler, self.scale = denoiser, sampler or ancestral, scale

    def rows(self, k: int) -> int:
        return k

    def __call__(self, observation: Observation, k: int, noise: Noise) -> Tensor:
        each, drawn = observation.repeated(k), RepeatedNoise(noise, k)
        sampler = self.sampler(denoiser=self.denoiser)
        times, x_t = begun(sampler, each, drawn)
        for t, s in pairwise(times):
            x_t = sampler.step(x_t, t, s) - self.scale * self._gradient(x_t, t, each)
        return sampler.mean(x_t, times[-1]).unflatten(0, (-1, k))

    def _gradient(self, x_t: Tensor, t: Tensor, each: Observation) -> Tensor:
        """Of ‖v − A D(x_t)‖ of each example."""
        with torch.enable_grad():
            x_t = x_t.detach().requires_grad_(True)
            clean = self.denoiser(x_t, t.expand(len(x_t)))
            lengths = (each.v - each.task.measure(clean)).flatten(1).norm(dim=1)
            return torch.autograd.grad(lengths.sum(), x_t)[0]
