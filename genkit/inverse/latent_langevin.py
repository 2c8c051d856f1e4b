r"""Inference of latents: which z of a generator x = g(z) a measurement tells of,

.. math:: U(z) = \frac{1}{2 s^2} \| v - A g(z) \|^2 - \log p(z).

Starts are drawn from a pool of p(z) by their weights e^−U, and moved by gradient to the best z near them; which of them
are kept is told by how much their weights have grown. No generator meets an example exactly, so the noise is at least
its own error: s² = max(σ², ‖v − A g(z)‖² / m), m measured values, estimated while z moves. Without that the few numbers
of z are driven out of the region that p(z) fills. For the same reason the first term counts less the more values there
are (`coarsened_posterior.py`). Then Langevin steps with Metropolis' correction, z' = z − h ∇U + √(2h) ε, whose size h
is fitted to each chain, spread the draws over the posterior.

References: Compressed Sensing using Generative Models (Bora et al. 2017, 1703.03208); Exponential convergence of
    Langevin distributions (Roberts & Tweedie 1996).
"""

from collections.abc import Callable
from typing import Annotated, Protocol

import torch
from torch import Tensor

from genkit.component import PositiveFloat, Range
from genkit.inverse.coarsened_posterior import SATURATION, powers
from genkit.inverse.latent_pool import LatentPool
from genkit.inverse.posterior_sampler import Observation, PosteriorSampler, RepeatedNoise, systematic
from genkit.noise import Noise

TARGET = 0.57  # share of accepted steps at which Langevin steps go furthest (Roberts & Rosenthal 1998)
Energy = Callable[[Tensor], Tensor]


class Generator(Protocol):
    """x = g(z) and p(z) of a model, its labels included; see `genkit.models.latent_variable`.

    Attributes:
        told: (n,) labels of the examples; None: unknown, or it takes none.
        pool: Draws that starts are chosen from, None for none.
    """

    told: Tensor | None
    pool: LatentPool | None

    def begin(self, n: int, each: int) -> None:
        """Prepare for n · each rows, `each` of every example."""

    def begin_with(self, rows: Tensor, each: int) -> None:
        """Prepare for these rows (n · each,) of the pool, `each` of every example."""

    def take(self, rows: Tensor) -> None:
        """Go on with these rows (R,) alone, in this order."""

    def draw_latent(self, noise: Noise, rows: int) -> Tensor: ...

    def latent_log_prob(self, z: Tensor) -> Tensor: ...

    def from_latent(self, z: Tensor) -> Tensor: ...


class LatentLangevin(PosteriorSampler):
    """The best latents near several starts, then Langevin steps from them.

    Arguments:
        generator: g and p(z).
        pool: Draws of p(z) that the starts of all examples are chosen from, fewer where these are large; 0: each start
            is a draw of its own.
        restarts: Starts for each draw that is asked for; of all starts of an example the best are kept, by weight.
        steps: Gradient steps (Adam) to the best latent.
        step_size: Of these, in units of z.
        langevin_steps: Steps that spread the draws; 0: none.
        saturation: α, as many values as any number of measured ones can count as; None: all count in full, as they do
            to a generator that is right.
    """

    def __init__(
        self,
        *,
        generator: Generator,
        pool: Annotated[int, Range(0, 1_000_000)] = 20_000,
        restarts: Annotated[int, Range(1, 1000)] = 4,
        steps: Annotated[int, Range(1, 100_000)] = 40,
        step_size: PositiveFloat = 0.1,
        langevin_steps: Annotated[int, Range(0, 100_000)] = 30,
        saturation: PositiveFloat | None = SATURATION,
    ) -> None:
        self.generator, self.pool, self.restarts, self.steps = generator, pool, restarts, steps
        self.step_size, self.langevin_steps, self.saturation = step_size, langevin_steps, saturation

    def rows(self, k: int) -> int:
        return k * self.restarts

    def __call__(self, observation: Observation, k: int, noise: Noise) -> Tensor:
        many, n = k * self.restarts, len(observation.v)
        z, before = self._starts(observation, many, noise)
        each = observation.repeated(many)
        z = self._best(z, each)
        with torch.no_grad():
            errors = self._errors(z, each).unflatten(0, (n, many))
            energy = self._misfit(errors, observation) - self.generator.latent_log_prob(z).unflatten(0, (n, many))
        kept = systematic((before - energy).softmax(1), k, noise)
        rows = (kept + many * torch.arange(n, device=z.device)[:, None]).flatten()
        self.generator.take(rows)
        variance = self._own_variance(errors, observation).repeat_interleave(k)
        z = self._spread(z[rows], observation.repeated(k), variance, RepeatedNoise(noise, k))
        return self.generator.from_latent(z).detach().unflatten(0, (n, k))

    def _starts(self, observation: Observation, many: int, noise: Noise) -> tuple[Tensor, Tensor]:
        """z (B · many, D), and the energies (B, many) that they have been chosen by already."""
        generator, pool, n = self.generator, self.generator.pool, len(observation.v)
        if pool is None:
            generator.begin(n, many)
            z = generator.draw_latent(RepeatedNoise(noise, many), n * many).detach()
            return z, z.new_zeros(n, many)
        misfit = self._misfit(pool.errors(observation, generator.told), observation)
        chosen = systematic((-misfit).softmax(1), many, noise)
        rows = chosen.flatten()
        generator.begin_with(rows, many)
        with torch.no_grad():
            prior = generator.latent_log_prob(pool.z[rows]).unflatten(0, (n, many))
        return pool.z[rows], misfit.gather(1, chosen) - prior

    def _best(self, z: Tensor, each: Observation) -> Tensor:
        """z where m/2 log s² − log p(z) is least nearby, s² the error of each, by cosine-shrinking Adam steps."""
        first, second = torch.zeros_like(z), torch.zeros_like(z)
        for step in range(1, self.steps + 1):
            _, gradient = self._profile(z, each)
            first, second = torch.lerp(gradient, first, 0.9), torch.lerp(gradient.square(), second, 0.99)
            rate = self.step_size * (1 + torch.cos(torch.tensor(torch.pi * step / self.steps)).item()) / 2
            z = z - rate * (first / (1 - 0.9**step)) / ((second / (1 - 0.99**step)).sqrt() + 1e-8)
        return z

    def _misfit(self, errors: Tensor, observation: Observation) -> Tensor:
        """m/(2 s²) ‖v − A g(z)‖² / m of several z of each example, (B, M) to the same."""
        return (self._count(observation) / (2 * self._own_variance(errors, observation)))[:, None] * errors

    def _own_variance(self, errors: Tensor, observation: Observation) -> Tensor:
        """s² (B,) as far as errors (B, M) tell: that of the best z is the generator's own."""
        return self._variance(errors.amin(1), observation)

    def _profile(self, z: Tensor, each: Observation) -> tuple[Tensor, Tensor]:
        """The energy with the s² that suits z best, and its gradient."""

        def energy(z: Tensor) -> Tensor:
            errors = self._errors(z, each)
            return self._count(each) / 2 * self._variance(errors, each).log() - self.generator.latent_log_prob(z)

        return with_gradient(energy, z)

    def _errors(self, z: Tensor, each: Observation) -> Tensor:
        """‖v − A g(z)‖² / m, (B,)."""
        r = each.v - each.task.measure(self.generator.from_latent(z))
        return r.square().flatten(1).sum(1) / each.counts

    def _count(self, each: Observation) -> Tensor:
        """Measured values that each example counts as, (B,)."""
        m = each.counts
        return m * powers(m.double(), self.saturation).to(each.v)

    @staticmethod
    def _variance(errors: Tensor, each: Observation) -> Tensor:
        return errors.clamp(min=each.task.sigma**2)

    def _spread(self, z: Tensor, each: Observation, variance: Tensor, noise: Noise) -> Tensor:
        """Langevin steps at the s² found."""
        m = self._count(each)

        def energy(z: Tensor) -> Tensor:
            return m * self._errors(z, each) / (2 * variance) - self.generator.latent_log_prob(z)

        return metropolis_langevin(energy, z, self.langevin_steps, noise, self.step_size**2)


def metropolis_langevin(energy: Energy, z: Tensor, steps: int, noise: Noise, size: float) -> Tensor:
    """Draw from exp(−U) by Langevin steps with Metropolis' correction, a chain for each row of z (B, D).

    Args:
        energy: U, (B, D) to (B,), differentiable.
        z: Where the chains start.
        steps: How many; the size of the steps is fitted in the first half.
        noise: Source of the randomness, a row for each chain.
        size: h at first.
    """
    h = torch.full((len(z), 1), size, device=z.device, dtype=z.dtype)
    value, gradient = with_gradient(energy, z)
    for step in range(steps):
        eps, u = noise(z.shape[1]).to(z), torch.special.ndtr(noise(1).double())[:, 0]
        moved = z - h * gradient + (2 * h).sqrt() * eps
        new_value, new_gradient = with_gradient(energy, moved)
        back = (z - moved + h * new_gradient).square().sum(1) / (4 * h[:, 0])
        log_ratio = value - new_value - back + eps.square().sum(1) / 2
        accepted = u.log() < log_ratio.double()
        z = torch.where(accepted[:, None], moved, z)
        gradient = torch.where(accepted[:, None], new_gradient, gradient)
        value = torch.where(accepted, new_value, value)
        if 2 * step < steps:
            share = log_ratio.exp().clamp(max=1).nan_to_num(0.0)
            h = h * torch.exp((share - TARGET) * 2 / (1 + step) ** 0.5)[:, None]
    return z


def with_gradient(energy: Energy, z: Tensor) -> tuple[Tensor, Tensor]:
    """U (B,) and ∂U/∂z (B, D), detached."""
    with torch.enable_grad():
        z = z.detach().requires_grad_(True)
        value = energy(z)
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient
