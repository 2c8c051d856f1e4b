r"""A ladder of normal latents between features of x and a state from which x is decoded.

A state d (B, F), at first the same for all examples (of one label), walks down the levels l = L, …, 1 and collects
latents,

.. math:: d \leftarrow R_l(d + W_l z_l), \qquad p(z_l|z_{>l}) = N(\mu_l(d), \sigma_l^2(d)),

with R a residual layer, while features of x walk up to meet it, h_1 = h, h_{l+1} = R'_l(h_l). The posterior of a level
is given relative to its prior, N(μ + σ Δμ, σ² e^Δ), with (Δμ, Δ) linear in (h_l, d).

A ladder whose posteriors start next to their priors learns to do without latents, since they bring noise alone. So the
first Δμ differ from example to example by about one deviation.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from genkit.distributions import normal_kl, normal_log_prob
from genkit.models.vae.prior import LatentDistribution
from genkit.nn.mlp import ResidualLayer

LOUD = 6.0  # of the first posterior means; the features of an untrained network have a deviation of some tenths
WIDEST = 20.0  # of a log-variance, which then is finite in any precision


class LatentMoments(NamedTuple):
    """Mean and log-variance of a normal, (…, D) each."""

    mean: Tensor
    log_var: Tensor


class Walk(NamedTuple):
    """A walk down the ladder, the top level's D_L values first.

    Attributes:
        z: The latents, (n, D).
        prior, posterior: Of each given those above it; without features of x the posterior is the prior.
        state: d at the end, (n, F).
    """

    z: Tensor
    prior: LatentMoments
    posterior: LatentMoments
    state: Tensor


class NormalLadder(LatentDistribution):
    """p(z) = Π p(z_l | z_>l) of latents (k, B, D) that were drawn already: at `moments` (k, B, D) each."""

    def __init__(self, moments: LatentMoments) -> None:
        self.moments = moments

    def log_prob(self, z: Tensor) -> Tensor:
        return normal_log_prob(z, *self.moments).sum(-1)

    def kl(self, mean: Tensor, log_var: Tensor, z: Tensor) -> Tensor:
        """Of each value in closed form given the levels above it, averaged over draws, (B, D)."""
        at, spread = self.moments
        return normal_kl((mean - at) * torch.exp(-spread / 2), log_var - spread).mean(0)


class Rung(nn.Module):
    """One rung: its prior and posterior, and how its latent enters the state."""

    def __init__(self, width: int, dim: int, top: bool) -> None:
        super().__init__()
        self.dim = dim
        self.prior = None if top else nn.Linear(width, 2 * dim)
        self.posterior = nn.Linear(2 * width, 2 * dim)
        self.enter, self.down = nn.Linear(dim, width), ResidualLayer(width, None)
        nn.init.normal_(self.posterior.weight[:dim, :width], std=LOUD * width**-0.5)
        nn.init.normal_(self.enter.weight, std=dim**-0.5)
        if self.prior is not None:
            nn.init.zeros_(self.prior.weight)
            nn.init.zeros_(self.prior.bias)

    def moments(self, d: Tensor, h: Tensor | None, like: Tensor) -> tuple[LatentMoments, LatentMoments]:
        """Prior and posterior at the state d (n, F), with features h (n, F) of x; in the precision of `like` (n, D)."""
        mean, log_var = torch.zeros_like(like), torch.zeros_like(like)
        if self.prior is not None:
            mean, log_var = self.prior(d).to(like.dtype).chunk(2, 1)
            log_var = log_var.clamp(-WIDEST, WIDEST)
        prior = LatentMoments(mean, log_var)
        if h is None:
            return prior, prior
        shift, change = self.posterior(torch.cat([h, d], 1)).to(like.dtype).chunk(2, 1)
        mean, log_var = mean + torch.exp(log_var / 2) * shift, (log_var + change).clamp(-WIDEST, WIDEST)
        return prior, LatentMoments(mean, log_var)


class Ladder(nn.Module):
    """All levels.

    Arguments:
        dims: D_1, …, D_L: sizes of the latents, next to the data first.
        width: F, of the state and of the features.
        num_classes: Number of labels, None without labels.
    """

    def __init__(self, dims: Sequence[int], width: int, num_classes: int | None) -> None:
        super().__init__()
        self.dims = tuple(dims)
        self.start = nn.Embedding(num_classes or 1, width)
        nn.init.normal_(self.start.weight, std=width**-0.5)
        self.up = nn.ModuleList(ResidualLayer(width, None) for _ in dims[1:])
        self.levels = nn.ModuleList(Rung(width, dim, top=number == len(dims)) for number, dim in enumerate(dims, 1))

    def features(self, h: Tensor) -> list[Tensor]:
        """Features h (B, F) of x to those of every level, (B, F) each, next to the data first."""
        found = [h]
        for layer in self.up:
            found.append(layer(found[-1], None))
        return found

    def walk(self, eps: Tensor, features: Sequence[Tensor] | None, y: Tensor | None) -> Walk:
        """Down the levels with z = μ + σ ε, of the posterior where there are features, else of the prior.

        Args:
            eps: Standard normal (n, D), or 0 for the means.
            features: Of every level, (n, F) each.
            y: Labels (n,).
        """
        d = self.start(torch.zeros(len(eps), dtype=torch.int64, device=eps.device) if y is None else y)
        latents: list[Tensor] = []
        priors, posteriors = list[LatentMoments](), list[LatentMoments]()
        levels = reversed([cast(Rung, level) for level in self.levels])
        for level, noise in zip(levels, eps.split(self.dims[::-1], 1), strict=True):
            h = None if features is None else features[len(self.dims) - 1 - len(latents)]
            prior, q = level.moments(d, h, noise)
            z = q.mean + torch.exp(q.log_var / 2) * noise
            d = level.down(d + level.enter(z), None)
            latents.append(z)
            priors.append(prior)
            posteriors.append(q)
        prior, q = (
            LatentMoments(*(torch.cat(part, 1) for part in zip(*of, strict=True))) for of in (priors, posteriors)
        )
        return Walk(torch.cat(latents, 1), prior, q, d)
