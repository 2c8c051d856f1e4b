r"""Priors of a latent vector: mixtures of diagonal Gaussians with equal weights,

.. math:: p(z) = \frac{1}{K} \sum_k N(z; m_k, \mathrm{diag}\, s_k^2),

of which the standard normal is the one with K = 1. A prior may be made of the encoder itself (VampPrior), so it gives
its mixture for the posterior as it is now.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from genkit.component import Component, NonNegativeFloat, Width
from genkit.data.spec import DataSpec
from genkit.distributions import normal_kl, normal_log_prob
from genkit.upgrade import RetiredBuffers, upgrade_in_loading

Posterior = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]  # x, y to mean and log-variance, (B, D) each


class LatentDistribution(ABC):
    """p(z), as what is minimised looks at it."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (…, D) to (…)."""

    @abstractmethod
    def kl(self, mean: Tensor, log_var: Tensor, z: Tensor) -> Tensor:
        """KL(q ‖ p) of q = N(mean, e^log_var), from which z (k, B, D) was drawn, in G groups that sum to it, (B, G)."""


@dataclass(frozen=True)
class NormalMixture(LatentDistribution):
    """K diagonal Gaussians of equal weight: `means` and `log_vars`, (K, D) each."""

    means: Tensor
    log_vars: Tensor

    def log_prob(self, z: Tensor) -> Tensor:
        each = normal_log_prob(z[..., None, :], self.means, self.log_vars).sum(-1)  # (…, K)
        return each.logsumexp(-1) - math.log(len(self.means))

    def kl(self, mean: Tensor, log_var: Tensor, z: Tensor) -> Tensor:
        """KL(q ‖ p) of q = N(mean, e^log_var), (B, D) each.

        For K = 1 the closed form of every dimension, G = D; else the mean of log q(z) − log p(z) over the draws z
        (k, B, D) from q, G = 1.
        """
        if len(self.means) == 1:
            return normal_kl((mean - self.means) * torch.exp(-self.log_vars / 2), log_var - self.log_vars)
        log_q = normal_log_prob(z, mean, log_var).sum(-1)
        return (log_q - self.log_prob(z)).mean(0)[:, None]

    def draw(self, u: Tensor, eps: Tensor) -> Tensor:
        """z (n, D) from uniform u (n,), which chooses the component, and standard normal eps (n, D)."""
        k = (u * len(self.means)).long().clamp(max=len(self.means) - 1)
        return self.means[k] + torch.exp(self.log_vars[k] / 2) * eps


class LatentPrior(nn.Module, Component, ABC):
    """p(z)."""

    @abstractmethod
    def mixture(self, posterior: Posterior) -> NormalMixture:
        """The prior beside an encoder that says q(z | x)."""

    def initialise(self, x: Tensor, y: Tensor | None) -> None:
        """Fit to the first training batch; default nothing."""


class PriorFactory(Protocol):
    """The type of a model's `prior` argument, finished with the data's spec, the size of z and the number of labels."""

    def __call__(self, *, spec: DataSpec, latent_dim: int, num_classes: int | None) -> LatentPrior: ...


class StandardNormal(LatentPrior):
    """N(0, I)."""

    zero: Tensor

    def __init__(self, *, spec: DataSpec, latent_dim: int, num_classes: int | None) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(1, latent_dim))

    def mixture(self, posterior: Posterior) -> NormalMixture:
        return NormalMixture(self.zero, self.zero)


class VampPrior(LatentPrior, RetiredBuffers):
    r"""The mean of the posteriors of K learned pseudo-inputs, p(z) = 1/K Σ_k q(z | u_k).

    The prior that maximises the bound is the mean posterior of all data, which K points stand for. They start as images
    of the first training batch with a little noise, in a conditional model with their labels.

    References: VAE with a VampPrior (Tomczak & Welling 2017, 1705.07120).

    Arguments:
        spec, latent_dim, num_classes: Given by the model.
        components: K.
        jitter: Standard deviation of the noise on the first pseudo-inputs.
    """

    labels: Tensor | None
    retired = ("initialised",)

    def __init__(
        self,
        *,
        spec: DataSpec,
        latent_dim: int,
        num_classes: int | None,
        components: Width = 100,
        jitter: NonNegativeFloat = 0.05,
    ) -> None:
        super().__init__()
        self.jitter = jitter
        self.pseudo_inputs = nn.Parameter(0.5 * torch.randn(components, *spec.shape))
        self.register_buffer("labels", None if num_classes is None else torch.arange(components) % num_classes)
        upgrade_in_loading(self)

    @torch.no_grad()
    def initialise(self, x: Tensor, y: Tensor | None) -> None:
        row = torch.arange(len(self.pseudo_inputs), device=x.device) % len(x)
        self.pseudo_inputs.copy_(x[row] + self.jitter * torch.randn_like(self.pseudo_inputs))
        if self.labels is not None and y is not None:
            self.labels.copy_(y[row])

    def mixture(self, posterior: Posterior) -> NormalMixture:
        return NormalMixture(*posterior(self.pseudo_inputs, self.labels))
