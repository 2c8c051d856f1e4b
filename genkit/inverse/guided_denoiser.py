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
shares of these are decided at high noise, where the normal is a poor picture of it. `split_gibbs.py` has what is.
"""

from abc import abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import PositiveFloat, Range
from genkit.diffusion.denoiser import Denoiser, expand_to
from genkit.diffusion.sampler import Sampler, SamplerFactory
from genkit.inverse.posterior_sampler import (
    ITERATIONS,
    Observation,
    PosteriorSampler,
    RepeatedNoise,
    ancestral,
    begun,
    conjugate_gradients,
)
from genkit.noise import Noise


class GuidedDenoiser(Denoiser):
    """E[x | x_t, v] of measured examples.

    Arguments:
        denoiser: E[x | x_t].
        observation: A row for each row of x_t.
        correction: (noise level (B, 1, …), v − A D, vector–Jacobian product) to what is added to D.
    """

    def __init__(self, denoiser: Denoiser, observation: Observation, correction: "Correction") -> None:
        super().__init__()
        self.denoiser, self.schedule, self.observation = denoiser, denoiser.schedule, observation
        self.correction = correction

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        alpha, sigma = (expand_to(value, x_t) for value in self.schedule(t))
        with torch.enable_grad():
            x_bar = (x_t / alpha).detach().requires_grad_(True)
            clean = self.denoiser(alpha * x_bar, t, y)

        def pulled(u: Tensor) -> Tensor:
            return torch.autograd.grad(clean, x_bar, u, retain_graph=True)[0]

        mean = clean.detach()
        residual = self.observation.v - self.observation.task.measure(mean)
        return mean + self.correction(self.observation, sigma / alpha, residual, pulled)


Correction = Callable[[Observation, Tensor, Tensor, Callable[[Tensor], Tensor]], Tensor]


class Guided(PosteriorSampler):
    """A sampler run on a guided denoiser."""

    denoiser: Denoiser
    sampler: SamplerFactory

    @abstractmethod
    def correction(
        self, observation: Observation, level: Tensor, residual: Tensor, pulled: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """The change (B, *shape) of the posterior mean.

        Args:
            observation: What was measured.
            level: σ̄, (B, 1, …).
            residual: v − A D.
            pulled: u to Jᵀ u, (B, *shape).
        """

    def rows(self, k: int) -> int:
        return k

    def __call__(self, observation: Observation, k: int, noise: Noise) -> Tensor:
        each, drawn = observation.repeated(k), RepeatedNoise(noise, k)
        guided = GuidedDenoiser(self.denoiser, each, self.correction)
        sampler: Sampler = self.sampler(denoiser=guided)
        _, sigma = self.denoiser.schedule(torch.ones((), device=each.v.device))
        x = sampler(sigma.to(each.v) * drawn(*each.task.in_shape).to(each.v), drawn)
        return x.detach().unflatten(0, (-1, k))


class MMPS(Guided):
    """Moment matching posterior sampling (2405.13712): V is the denoiser's own covariance.

    Arguments:
        denoiser: E[x | x_t].
        sampler: What integrates; None takes ancestral steps.
        iterations: Of conjugate gradients, a vector–Jacobian product each.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        sampler: SamplerFactory | None = None,
        iterations: Annotated[int, Range(1, 100)] = 3,
    ) -> None:
        self.denoiser, self.sampler, self.iterations = denoiser, sampler or ancestral, iterations

    def correction(
        self, observation: Observation, level: Tensor, residual: Tensor, pulled: Callable[[Tensor], Tensor]
    ) -> Tensor:
        task, variance = observation.task, level**2

        def covariance(u: Tensor) -> Tensor:
            return task.sigma**2 * u + task.measure(variance * pulled(task.adjoint(u)))

        return variance * pulled(task.adjoint(conjugate_gradients(covariance, residual, self.iterations)))


class PiGDM(Guided):
    """Pseudoinverse-guided diffusion (Song et al. 2023): V is one number at each noise level.

    Arguments:
        denoiser: E[x | x_t].
        sampler: What integrates; None takes ancestral steps.
        data_std: s, standard deviation of the data in model units.
        iterations: Of conjugate gradients, without the network.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        sampler: SamplerFactory | None = None,
        data_std: PositiveFloat = 0.5,
        iterations: Annotated[int, Range(1, 1000)] = ITERATIONS,
    ) -> None:
        self.denoiser, self.sampler = denoiser, sampler or ancestral
        self.data_std, self.iterations = data_std, iterations

    def correction(
        self, observation: Observation, level: Tensor, residual: Tensor, pulled: Callable[[Tensor], Tensor]
    ) -> Tensor:
        task, variance = observation.task, level**2 * self.data_std**2 / (level**2 + self.data_std**2)

        def covariance(u: Tensor) -> Tensor:
            return task.sigma**2 * u + task.measure(variance * task.adjoint(u))

        return level**2 * pulled(task.adjoint(conjugate_gradients(covariance, residual, self.iterations)))


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
