r"""The objective of a variational autoencoder, given k draws z ~ q(z | x) for each x.

.. math::

    \text{ELBO}   &\quad E_q[-\log p(x|z)] + \beta \, KL(q(z|x)\,\|\,p(z)) \\
    \text{capacity} &\quad E_q[-\log p(x|z)] + \gamma \, |KL(q(z|x)\,\|\,p(z)) - C(t)| \\
    \text{IWAE}   &\quad -\log \tfrac1k \sum_i w_i, \qquad w_i = p(x|z_i)\, p(z_i) / q(z_i|x)

All terms are sums over dimensions and means over examples, in nats. Objectives that look at the posterior of a whole
batch stand in `genkit/models/vae/aggregate_posterior.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genkit.batch_noise import choices
from genkit.component import Component, Count, NonNegativeFloat, Probability
from genkit.distributions import normal_log_prob
from genkit.errors import ConfigError
from genkit.models.density import importance_bound
from genkit.models.vae.prior import LatentDistribution


@dataclass(frozen=True)
class Draws:
    """k draws of z for each example of a batch, and what the model says about them.

    Attributes:
        mean, log_var: Of q(z | x), (B, D), or (k, B, D) where parts of z depend on other parts.
        z: (k, B, D).
        log_likelihood: log p(x | z), (k, B).
        prior: p(z).
    """

    mean: Tensor
    log_var: Tensor
    z: Tensor
    log_likelihood: Tensor
    prior: LatentDistribution

    @property
    def log_weights(self) -> Tensor:
        """log w = log p(x | z) + log p(z) − log q(z | x), (k, B): their mean is the ELBO."""
        log_q = normal_log_prob(self.z, self.mean, self.log_var).sum(-1)
        return self.log_likelihood + self.prior.log_prob(self.z) - log_q

    @property
    def reconstruction(self) -> Tensor:
        """E_q[−log p(x | z)], ()."""
        return -self.log_likelihood.mean()

    @property
    def kl(self) -> Tensor:
        """KL(q(z | x) ‖ p(z)) in groups of dimensions, (B, G); see `LatentDistribution.kl`."""
        return self.prior.kl(self.mean, self.log_var, self.z)


KL_WARMUP = 0.1  # share of the training in which the weight of the KL term rises

Draw = Callable[[Tensor], Draws]  # eps (k, B, D) to what the model says at z = μ + σ eps


def ramp(progress: float, share: float) -> float:
    """From 0 to 1 over the first `share` of the training."""
    return min(1.0, progress / share) if share > 0 else 1.0


class VariationalObjective(Component, ABC):
    """A loss of `Draws`.

    Attributes:
        needs_horizon: Whether it depends on the progress of the training.
    """

    needs_horizon: bool = False

    def draws(self, progress: float) -> int:
        """k at `progress` in [0, 1] of the training, which is 1 outside training."""
        return 1

    def drawn(self, draw: Draw, eps: Tensor, progress: float) -> dict[str, Tensor]:
        """`losses` at the draws of standard normal eps (k, B, D)."""
        return self.losses(draw(eps), progress)

    @abstractmethod
    def losses(self, drawn: Draws, progress: float) -> dict[str, Tensor]:
        """ "loss" and its terms, each (); `progress` in [0, 1] is 1 outside training."""


class ELBO(VariationalObjective):
    """The evidence lower bound, its KL term weighted by β, warmed up, and free up to λ per dimension.

    References: Auto-Encoding Variational Bayes (Kingma & Welling 2013, 1312.6114); β: β-VAE (Higgins et al. 2017);
    warm-up: Ladder Variational Autoencoders (Sønderby et al. 2016, 1602.02282); free bits: Improved Variational
    Inference with Inverse Autoregressive Flow (Kingma et al. 2016, 1606.04934).

    Arguments:
        beta: β; 1 is the bound itself.
        kl_warmup: Share of the training during which the weight rises from 0 to β.
        free_bits: λ in nats: a dimension is charged max(λ, its KL averaged over the batch); a prior whose KL does not
            split into dimensions is charged for all of them together.
    """

    def __init__(
        self, beta: NonNegativeFloat = 1.0, kl_warmup: Probability = KL_WARMUP, free_bits: NonNegativeFloat = 0.0
    ) -> None:
        self.beta, self.kl_warmup, self.free_bits = beta, kl_warmup, free_bits
        self.needs_horizon = kl_warmup > 0

    def losses(self, drawn: Draws, progress: float) -> dict[str, Tensor]:
        kl = drawn.kl.mean(0)  # (G,)
        free = self.free_bits * drawn.mean.shape[-1] / len(kl)
        charged = kl.clamp(min=free).sum() if free > 0 else kl.sum()
        loss = drawn.reconstruction + self.beta * ramp(progress, self.kl_warmup) * charged
        return {"loss": loss, "reconstruction": drawn.reconstruction, "kl": kl.sum()}


class Capacity(VariationalObjective):
    """The KL term is held at a capacity that grows from 0.

    References: Understanding disentangling in β-VAE (Burgess et al. 2018, 1804.03599).

    Arguments:
        gamma: γ, how strictly.
        capacity: C in nats at the end of the ramp.
        share: Share of the training during which it grows.
    """

    def __init__(
        self, gamma: NonNegativeFloat = 100.0, capacity: NonNegativeFloat = 25.0, share: Probability = 0.5
    ) -> None:
        self.gamma, self.capacity, self.share = gamma, capacity, share
        self.needs_horizon = share > 0

    def losses(self, drawn: Draws, progress: float) -> dict[str, Tensor]:
        kl = drawn.kl.sum(1).mean()
        loss = drawn.reconstruction + self.gamma * (kl - self.capacity * ramp(progress, self.share)).abs()
        return {"loss": loss, "reconstruction": drawn.reconstruction, "kl": kl}


class ImportanceWeighted(VariationalObjective):
    r"""The importance-weighted bound, which tightens with k.

    k draws cost k passes of the decoder and pay late: they sharpen a posterior that the first steps, of one draw each,
    have found.

    With `kept`, all draws are weighed without a gradient, and `kept` of them are resampled with the probabilities w̃ of
    their weights. What stands in the gradients as a sum over all draws is an expectation over those,

    .. math:: \nabla_\theta = E_{i \sim \tilde w} \nabla_\theta \log p_\theta(x, z_i), \qquad
              \nabla_\phi = E_{i \sim \tilde w}\, \tilde w_i\,
              \frac{\partial \log w_i}{\partial z_i} \frac{\partial z_i}{\partial \phi},

    so both are unbiased, and a draw that is not kept costs a third of one that is. The second is the doubly
    reparameterised gradient, whose ratio of signal to noise does not fall with k as that of the plain one does
    (Rainforth et al. 2018, 1802.04537).

    References: Importance Weighted Autoencoders (Burda et al. 2015, 1509.00519); Doubly Reparameterized Gradient
    Estimators for Monte Carlo Objectives (Tucker et al. 2018, 1810.04152).

    Arguments:
        k: Draws per example; 1 is the ELBO.
        kept: Draws per example that gradients pass through; None takes all, by the plain gradient.
        start, end: Shares of the training between which the draws grow geometrically from 1 to k; 0 and 0 take k
            throughout.

    Raises ConfigError if the growth ends before it starts.
    """

    def __init__(
        self,
        k: Count = 50,
        kept: Count | None = None,
        start: Probability = 0.0,
        end: Probability = 0.0,
    ) -> None:
        if end < start:
            raise ConfigError(f"model.objective.end={end:g} is below model.objective.start={start:g}")
        self.k, self.kept, self.start, self.end = k, kept, start, end
        self.needs_horizon = end > 0

    def draws(self, progress: float) -> int:
        return 1 if progress < self.start else round(self.k ** ramp(progress - self.start, self.end - self.start))

    def losses(self, drawn: Draws, progress: float) -> dict[str, Tensor]:
        loss = -importance_bound(drawn.log_weights).mean()
        return {"loss": loss, "reconstruction": drawn.reconstruction, "kl": drawn.kl.sum(1).mean()}

    def drawn(self, draw: Draw, eps: Tensor, progress: float) -> dict[str, Tensor]:
        if self.kept is None or not torch.is_grad_enabled():
            return super().drawn(draw, eps, progress)
        with torch.no_grad():
            every = draw(eps)
            weights = every.log_weights.softmax(0)
            terms = self.losses(every, progress)
        kept = choices(weights.T, self.kept).T  # (kept, B)
        surrogate = -_weighted_path(draw(_rows(eps, kept)), weights.gather(0, kept)).mean()
        return {**terms, "loss": terms["loss"] + surrogate - surrogate.detach()}  # the bound, with this gradient


def _rows(eps: Tensor, index: Tensor) -> Tensor:
    """For each example those of its draws eps (k, B, D) that index (m, B) names, (m, B, D)."""
    return eps.gather(0, index[..., None].expand(*index.shape, eps.shape[-1]))


def _weighted_path(drawn: Draws, weights: Tensor) -> Tensor:
    """log w (m, B) of q held still, whose gradient with respect to z counts `weights` (m, B) times."""
    drawn.z.register_hook(lambda gradient: gradient * weights[..., None])
    return replace(drawn, mean=drawn.mean.detach(), log_var=drawn.log_var.detach()).log_weights
