r"""Objectives that look at the aggregate posterior q(z) = E_x q(z | x), of which a batch of B examples is a sample.

.. math::

    \beta\text{-TC} &\quad -\text{ELBO} + (\beta - 1)\, KL(q(z)\,\|\,\textstyle\prod_d q(z_d)) \\
    \text{InfoVAE} &\quad -E_q[\log p(x|z)] + (1 - \alpha) KL(q(z|x) \| p(z)) + (\alpha + \lambda - 1) MMD(q(z), p(z))

The first is the decomposition of the KL term into mutual information, total correlation and dimension-wise KL, with
weights 1, β and 1.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genkit.batch_noise import normal_like, uniform
from genkit.component import Component, NonNegativeFloat, PositiveFloat, Probability
from genkit.distributions import normal_log_prob
from genkit.models.vae.objective import ELBO, KL_WARMUP, Draws, VariationalObjective, ramp
from genkit.models.vae.prior import NormalMixture


def total_correlation(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(q(z) ‖ ∏_d q(z_d)) with q(z) the mean of the batch's posteriors; z, mean, log_var (B, D) to ().

    Minibatch-weighted sampling: the size N of the data would only add (D − 1) log N, of which no gradient knows.
    """
    log_q = normal_log_prob(z[:, None], mean, log_var)  # (B, B, D): draw i under posterior j
    count = math.log(len(z))
    joint = log_q.sum(2).logsumexp(1) - count  # (B,)
    product = (log_q.logsumexp(1) - count).sum(1)
    return (joint - product).mean()


class TotalCorrelation(VariationalObjective):
    """The bound with the total correlation of z charged β times.

    References: Isolating Sources of Disentanglement in VAEs (Chen et al. 2018, 1802.04942).

    Arguments:
        beta: β; 1 is the bound itself.
        kl_warmup: Share of the training during which KL and total correlation rise to their weights.
    """

    def __init__(self, beta: NonNegativeFloat = 6.0, kl_warmup: Probability = KL_WARMUP) -> None:
        self.beta, self.elbo = beta, ELBO(kl_warmup=kl_warmup)
        self.needs_horizon = self.elbo.needs_horizon

    def losses(self, drawn: Draws, progress: float) -> dict[str, Tensor]:
        terms = self.elbo.losses(drawn, progress)
        tc = total_correlation(drawn.z[0], drawn.mean, drawn.log_var)
        weight = (self.beta - 1) * ramp(progress, self.elbo.kl_warmup)
        return {**terms, "loss": terms["loss"] + weight * tc, "total_correlation": tc}


class Kernel(Component, ABC):
    """A positive definite function of the squared distance d² of two latents of D dimensions; 1 at 0."""

    @abstractmethod
    def of(self, squared: Tensor, dim: int) -> Tensor:
        """k(d²), any shape."""


class RBF(Kernel):
    """exp(−d² / (2 s² D)): two draws of N(0, I) have E d² = 2D.

    Arguments:
        scale: s.
    """

    def __init__(self, scale: PositiveFloat = 1.0) -> None:
        self.scale = scale

    def of(self, squared: Tensor, dim: int) -> Tensor:
        return torch.exp(-squared / (2 * self.scale**2 * dim))


class InverseMultiquadric(Kernel):
    """C / (C + d²), C = 2 s² D: its tails reach latents that lie far out (Tolstikhin et al. 2017, 1711.01558).

    Arguments:
        scale: s.
    """

    def __init__(self, scale: PositiveFloat = 1.0) -> None:
        self.scale = scale

    def of(self, squared: Tensor, dim: int) -> Tensor:
        c = 2 * self.scale**2 * dim
        return c / (c + squared)


def mmd(a: Tensor, b: Tensor, kernel: Kernel) -> Tensor:
    """Squared maximum mean discrepancy of two batches (n, D) and (m, D), at least 0, ()."""

    def mean(x: Tensor, y: Tensor) -> Tensor:
        return kernel.of((x[:, None] - y).square().sum(2), x.shape[1]).mean()

    return mean(a, a) + mean(b, b) - 2 * mean(a, b)


class InfoVAE(VariationalObjective):
    """The aggregate posterior is drawn to the prior by a kernel, the single posteriors less or not at all.

    References: InfoVAE: Balancing Learning and Inference in Variational Autoencoders (Zhao et al. 2017, 1706.02262).

    Arguments:
        alpha: α; 1 leaves out the KL of single posteriors (MMD-VAE), 0 keeps it.
        weight: λ, with α + λ ≥ 1.
        kernel: Of the discrepancy; None takes `InverseMultiquadric`.
    """

    def __init__(self, alpha: Probability = 1.0, weight: PositiveFloat = 1000.0, kernel: Kernel | None = None) -> None:
        self.alpha, self.weight, self.kernel = alpha, weight, kernel or InverseMultiquadric()

    def losses(self, drawn: Draws, progress: float) -> dict[str, Tensor]:
        assert isinstance(drawn.prior, NormalMixture)
        z = drawn.z[0]
        at_prior = drawn.prior.draw(uniform(len(z), device=z.device), normal_like(z))
        discrepancy, kl = mmd(z, at_prior, self.kernel), drawn.kl.sum(1).mean()
        loss = drawn.reconstruction + (1 - self.alpha) * kl + (self.alpha + self.weight - 1) * discrepancy
        return {"loss": loss, "reconstruction": drawn.reconstruction, "kl": kl, "mmd": discrepancy}
