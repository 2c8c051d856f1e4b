r"""Langevin dynamics: walk along the gradient of a log-density, with noise, until the place is a draw from it.

.. math:: u' = u + \frac{\epsilon^2}{2 T} \nabla \log p(u) + \epsilon z, \qquad z \sim N(0, I)

For small steps ε the walk has the stationary density p^{1/T} up to O(ε²). The Metropolis-adjusted walk takes u' with
the probability

.. math:: \min\Big(1, \Big(\frac{p(u')}{p(u)}\Big)^{1/T} \frac{q(u \mid u')}{q(u' \mid u)}\Big), \qquad
          q(u' \mid u) = N\Big(u + \frac{\epsilon^2}{2T} \nabla \log p(u), \epsilon^2 I\Big),

and so has exactly that density for any ε (Roberts & Tweedie 1996). A temperature T below 1 draws likelier points: it is
then not the model that is sampled.

Chains start from a base distribution, never from data. Where modes lie apart no walk of a few hundred steps goes from
one to another; so a chain starts at one of several candidates from the base, chosen by their weights p / q (sampling
importance resampling, Rubin 1988), which is what gives the modes their shares.

References: Bayesian Learning via Stochastic Gradient Langevin Dynamics (Welling & Teh 2011); Implicit Generation and
Modeling with Energy-Based Models (Du & Mordatch 2019, 1903.08689).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import Component, Count, PositiveFloat, Range
from genkit.distributions import draw_categorical
from genkit.models.energy.base_distribution import CoveringBase
from genkit.noise import Noise

LogDensity = Callable[[Tensor], Tensor]  # points u (N, *shape) to log p̃(u) (N,)
Temperature = Annotated[float, Range(0.01, 100.0)]
STEP = 0.1  # ε, in standard deviations of the data
CANDIDATES = 256  # points of the base distribution for each sample
BLOCK = 2**16  # numbers of a sample's noise that are drawn at once


def slope(log_density: LogDensity, u: Tensor) -> tuple[Tensor, Tensor]:
    """log p̃ (N,) and its gradient (N, *shape) at points u (N, *shape), themselves without gradient."""
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        value = log_density(u)
        (gradient,) = torch.autograd.grad(value.sum(), u)
    return value.detach(), gradient


def drift(gradient: Tensor, step: float, temperature: float, limit: float | None = None) -> Tensor:
    """ε² ∇ log p / 2T, no coordinate of it beyond `limit`."""
    moved = gradient * (step**2 / (2 * temperature))
    return moved if limit is None else moved.clamp(-limit, limit)


class ChainSampler(Component, ABC):
    """Draws from an unnormalised density of standardised points by a chain for each sample.

    Attributes:
        steps: Of each chain, each one gradient of the energy.
        candidates: Points of the base distribution among which a chain's start is chosen by their weights; 1 takes the
            first one.
    """

    steps: int
    candidates: int

    @property
    def evaluations(self) -> int:
        """Evaluations of the network for each sample."""
        return self.steps + (0 if self.candidates == 1 else self.candidates)

    def __call__(self, log_density: LogDensity, base: CoveringBase, shape: tuple[int, ...], noise: Noise) -> Tensor:
        """Points (n, *shape), row by row a function of the sample's noise.

        `log_density` is asked about the candidates in the order of samples, all of one sample side by side.
        """
        u = self.start(log_density, base, shape, noise)
        return self.walk(log_density, u, self._normals(u, noise))

    def start(self, log_density: LogDensity, base: CoveringBase, shape: tuple[int, ...], noise: Noise) -> Tensor:
        """One of the candidates of each sample (n, *shape)."""
        points = base.from_noise(self.candidates, shape, noise)
        if self.candidates == 1:
            return points[:, 0]
        flat = points.flatten(0, 1)
        with torch.no_grad():
            weights = (log_density(flat) - base.log_prob(flat)).unflatten(0, points.shape[:2])
        chosen = draw_categorical(weights, torch.special.ndtr(noise(1)[:, 0]))
        return points[torch.arange(len(points), device=points.device), chosen]

    def _normals(self, u: Tensor, noise: Noise) -> Iterator[tuple[Tensor, Tensor]]:
        """For each step standard normals (n, *shape), and uniforms in [0, 1) (n,)."""
        numbers = u[0].numel() + 1
        block = max(1, BLOCK // numbers)
        for first in range(0, self.steps, block):
            for eps in noise(min(block, self.steps - first), numbers).unbind(1):
                yield eps[:, 1:].reshape(u.shape).to(u), torch.special.ndtr(eps[:, 0]).to(u)

    @abstractmethod
    def walk(self, log_density: LogDensity, u: Tensor, normals: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
        """The ends (n, *shape) of chains from u (n, *shape), a step for each of the normals."""


class Langevin(ChainSampler):
    """The unadjusted walk: its error is O(ε²), and each step is taken.

    Arguments:
        steps: Of each chain.
        step: ε, in standard deviations of the data.
        temperature: T; below 1 it is not the model that is sampled.
        gradient_limit: Largest move of a coordinate along the gradient in a step, in standard deviations; None: none.
        candidates: Among which a chain's start is chosen.
    """

    def __init__(
        self,
        steps: Count = 200,
        step: PositiveFloat = STEP,
        temperature: Temperature = 1.0,
        gradient_limit: PositiveFloat | None = None,
        candidates: Count = 1,
    ) -> None:
        self.steps, self.step, self.temperature = steps, step, temperature
        self.gradient_limit, self.candidates = gradient_limit, candidates

    def walk(self, log_density: LogDensity, u: Tensor, normals: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
        for eps, _ in normals:
            _, gradient = slope(log_density, u)
            u = u + drift(gradient, self.step, self.temperature, self.gradient_limit) + self.step * eps
        return u


class MALA(ChainSampler):
    """The Metropolis-adjusted walk: exact for any ε, slow where ε is too large or too small.

    References: Roberts & Tweedie 1996.

    Arguments:
        steps: Of each chain.
        step: ε, in standard deviations of the data.
        temperature: T; below 1 it is not the model that is sampled.
        candidates: Among which a chain's start is chosen.
    """

    def __init__(
        self,
        steps: Count = 50,
        step: PositiveFloat = STEP,
        temperature: Temperature = 1.0,
        candidates: Count = CANDIDATES,
    ) -> None:
        self.steps, self.step, self.temperature, self.candidates = steps, step, temperature, candidates

    @property
    def evaluations(self) -> int:
        return super().evaluations + 1

    def walk(self, log_density: LogDensity, u: Tensor, normals: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
        value, gradient = slope(log_density, u)
        for eps, uniform in normals:
            proposed = u + drift(gradient, self.step, self.temperature) + self.step * eps
            value_there, gradient_there = slope(log_density, proposed)
            there, back = self._log_move(u, proposed, gradient), self._log_move(proposed, u, gradient_there)
            taken = uniform.log() < (value_there - value) / self.temperature + back - there
            value = torch.where(taken, value_there, value)
            wide = taken.reshape(-1, *[1] * (u.ndim - 1))
            u, gradient = torch.where(wide, proposed, u), torch.where(wide, gradient_there, gradient)
        return u

    def _log_move(self, source: Tensor, target: Tensor, gradient: Tensor) -> Tensor:
        """log q(target | source) (n,) up to a constant, with the gradient at the source."""
        away = target - source - drift(gradient, self.step, self.temperature)
        return -away.square().flatten(1).sum(1) / (2 * self.step**2)
