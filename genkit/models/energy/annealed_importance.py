r"""Annealed importance sampling: log Z along a path from a density with a known one.

The path begins with a normal density somewhat wider than standardised data and lets the model in by and by,

.. math:: p̃_k(u) = \exp\big((1 - \beta_k) \log p̃_0(u) + \beta_k \log p̃(u)\big), \qquad
          0 = \beta_0 < \dots < \beta_K = 1, \qquad p̃_0(u) = e^{-\|u\|^2 / 2 b^2}, \quad Z_0 = (2 \pi b^2)^{D/2}.

A chain moves by Hamiltonian Monte Carlo under each density in turn and gathers the weight

.. math:: \log w = \sum_k (\beta_{k+1} - \beta_k) \log \frac{p̃(u_k)}{p̃_0(u_k)}, \qquad E[w] = Z / Z_0 .

The mean of w over chains is unbiased, so its logarithm is low on average: log Ẑ is a stochastic *lower* bound on log Z
and a likelihood by it an upper one. Run the other way, from exact draws of p̃_K, the same gives E[1/w] = Z_0 / Z and a
stochastic *upper* bound (bidirectional Monte Carlo); between the two lies the truth.

References: Annealed Importance Sampling (Neal 1998, physics/9803008); MCMC using Hamiltonian dynamics (Neal 2012,
1206.1901); On the Quantitative Analysis of Decoder-Based Generative Models (Wu et al. 2016, 1611.04273), whose sigmoid
spacing of β this is.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import Count, NonNegativeInt, PositiveFloat, Range
from genkit.errors import NumericalError
from genkit.models.density import Bound
from genkit.models.energy.langevin import slope
from genkit.models.energy.normaliser import LogZ, Normaliser
from genkit.noise import generator_of

ACCEPTANCE = 0.65  # of the Hamiltonian moves, which their step is adapted to
ADAPTION = 1.02
SPREAD = 4.0  # of the sigmoid that β follows: fine steps at both ends


class AnnealedImportance(Normaliser):
    """By chains that anneal from a normal density to the model.

    Arguments:
        chains: Whose weights are averaged.
        steps: K, densities on the path.
        leapfrogs: Gradients in each Hamiltonian move.
        base_std: b, in standard deviations of the data.
        seed: Of the chains.
    """

    bound: Bound = "estimate"
    costly = True

    def __init__(
        self,
        chains: Annotated[int, Range(2, 100_000)] = 100,
        steps: Count = 1000,
        leapfrogs: Annotated[int, Range(1, 1000)] = 3,
        base_std: PositiveFloat = 1.5,
        seed: NonNegativeInt = 0,
    ) -> None:
        self.chains, self.steps, self.leapfrogs = chains, steps, leapfrogs
        self.base_std, self.seed = base_std, seed

    def __call__(self, f: Callable[[Tensor], Tensor], tail_std: float, shape: tuple[int, ...], like: Tensor) -> LogZ:
        with torch.no_grad():
            labels = f(like.new_zeros(1, *shape)).shape[1]
        values, errors = [], []
        for k in range(labels):
            log_weights = self.log_weights(lambda u, k=k: f(u)[:, k], tail_std, shape, like)  # type: ignore[misc]
            value, error = log_mean(log_weights)
            values.append(value)
            errors.append(error)
        return LogZ(
            torch.stack(values).cpu(),
            torch.stack(errors).cpu(),
            f"annealed importance sampling, {self.chains} chains of {self.steps:,} steps",
            "log Z is a stochastic lower bound, so likelihoods are rather too high",
        )

    def log_weights(
        self,
        f: Callable[[Tensor], Tensor],
        tail_std: float,
        shape: tuple[int, ...],
        like: Tensor,
        draws: Tensor | None = None,
    ) -> Tensor:
        """log w of each chain (chains,) float64, the logarithm of Z_0 included, for f from points to (N,).

        With exact draws (chains, *shape) of the model the chains go back to the base, and log w is an upper bound's:
        −log of the mean of 1 / w (`log_harmonic_mean`).

        Raises NumericalError where f is not finite.
        """
        generator, b, forward = generator_of(self.seed, "annealed importance", *shape), self.base_std, draws is None
        n = self.chains if draws is None else len(draws)

        def normal() -> Tensor:
            return torch.randn(n, *shape, generator=generator).to(like)

        def gain(v: Tensor) -> Tensor:
            """log p̃ / p̃_0 (N,)."""
            return f(v) + v.flatten(1).square().sum(1) * (1 / (2 * b**2) - 1 / (2 * tail_std**2))

        path = sigmoid_path(self.steps).tolist()
        u = b * normal() if draws is None else draws.to(like)
        log_w = torch.full((n,), math.prod(shape) * log_normal_z(b), dtype=torch.float64, device=u.device)
        step = 0.5
        for beta, following in pairwise(path if forward else path[::-1]):
            with torch.no_grad():
                log_w = log_w + abs(following - beta) * gain(u).double()
            if not bool(torch.isfinite(log_w).all()):
                raise NumericalError("the energy is not finite: the model diverged; use an earlier checkpoint")

            def tempered(v: Tensor, beta: float = following) -> Tensor:
                return beta * gain(v) - v.flatten(1).square().sum(1) / (2 * b**2)

            uniform = torch.rand(n, generator=generator).to(u)
            u, accepted = hamiltonian_move(tempered, u, normal(), uniform, step, self.leapfrogs)
            step *= ADAPTION if accepted > ACCEPTANCE else 1 / ADAPTION
        return log_w


def log_normal_z(std: float) -> float:
    """log of ∫ exp(−u² / 2 std²) du."""
    return math.log(std) + 0.5 * math.log(2 * math.pi)


def sigmoid_path(steps: int) -> Tensor:
    """β from 0 to 1, (steps + 1,) float64."""
    place = torch.sigmoid(torch.linspace(-SPREAD, SPREAD, steps + 1, dtype=torch.float64))
    return (place - place[0]) / (place[-1] - place[0])


def hamiltonian_move(
    log_density: Callable[[Tensor], Tensor], u: Tensor, momentum: Tensor, uniform: Tensor, step: float, leapfrogs: int
) -> tuple[Tensor, float]:
    """The next points (N, *shape) of chains at u under a density, and the share of them that moved.

    Args:
        log_density: Points (N, *shape) to (N,), up to a constant.
        u: Points (N, *shape).
        momentum: Standard normal (N, *shape).
        uniform: In [0, 1), (N,).
        step: Of the leapfrog integrator.
        leapfrogs: Steps of it.
    """
    value, gradient = slope(log_density, u)
    start = value - momentum.flatten(1).square().sum(1) / 2
    v, place = momentum + step / 2 * gradient, u
    for k in range(leapfrogs):
        place = place + step * v
        value, gradient = slope(log_density, place)
        v = v + (step if k < leapfrogs - 1 else step / 2) * gradient
    end = value - v.flatten(1).square().sum(1) / 2
    moved = uniform.log() < end - start  # NaN, of a chain that left, is no move
    kept = torch.where(moved.reshape(-1, *[1] * (u.ndim - 1)), place, u)
    return kept, float(moved.double().mean())


def log_mean(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """log of the mean of weights (N,), and its standard error by the delta method, both ()."""
    n = len(log_weights)
    value = torch.logsumexp(log_weights, 0) - math.log(n)
    ratio = (log_weights - value).exp()
    return value, ratio.std() / math.sqrt(n)


def log_harmonic_mean(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """−log of the mean of 1 / weights (N,), and its standard error: of chains that went back."""
    value, error = log_mean(-log_weights)
    return -value, error
