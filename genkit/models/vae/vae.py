r"""Variational autoencoders: maximise a lower bound on log p(x) = log ∫ p(x | z) p(z) dz,

.. math::

    \log p(x) \ge E \log \frac1k \sum_i w_i \ge E_{q(z|x)}[\log w] = E_{q(z|x)}[\log p(x|z)] - KL(q(z|x)\,\|\,p(z)),
    \qquad w = \frac{p(x|z)\,p(z)}{q(z|x)}, \quad q(z|x) = N(\mu(x), \sigma^2(x)).

A member of the family is a choice of parts: p(x | z) (`genkit/models/likelihood.py`), p(z) (`prior.py` beside it) and
what is minimised (`objective.py`, `aggregate_posterior.py`). All terms are sums over dimensions, in nats; a mean over
pixels would be another objective.
"""

from collections.abc import Iterable, Iterator
from functools import partial

import torch
from torch import Tensor

from genkit.batch_noise import normal
from genkit.component import Count, Width
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.models.base import (
    Conditional,
    Decoder,
    Encoder,
    GenerativeModel,
    LatentBound,
    Noise,
    Reconstructor,
    classes_of,
)
from genkit.models.codes import CodesLatent, level_scores, without_levels
from genkit.models.default_likelihood import default_likelihood
from genkit.models.density_per_label import AnyDensity, draw_latents, fit_density, make_density
from genkit.models.latent_density import LatentDensityFactory, uniform_draw
from genkit.models.latent_size import default_latent_dim
from genkit.models.latent_variable import LatentVariable
from genkit.models.likelihood import LikelihoodFactory
from genkit.models.vae.objective import ELBO, Draws, VariationalObjective
from genkit.models.vae.prior import NormalMixture, PriorFactory, StandardNormal
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone
from genkit.noise import noise_of

Moments = tuple[Tensor, Tensor]  # mean and log-variance, (B, latent_dim) each
ACTIVE = 0.01  # variance of a latent's mean over data above which it counts as used (Burda et al. 2015, 1509.00519)
FITTED = 4  # draws of each example that a latent density is fitted to
BLOCK = 16  # draws of a score made at once
ELBO_DRAWS = 16  # of z for each example of a score


class VAE(GenerativeModel, LatentBound, LatentVariable, CodesLatent, Encoder, Decoder, Reconstructor, Conditional):
    """Variational autoencoder with a Gaussian posterior.

    References: Auto-Encoding Variational Bayes (Kingma & Welling 2013, 1312.6114); conditional: Learning Structured
    Output Representation using Deep Conditional Generative Models (Sohn et al. 2015).

    Arguments:
        spec: The data.
        latent_dim: Size of z; None chooses by the data: 16, for 32x32 in colour 64.
        backbone: Encoder and decoder; None takes what the data asks for.
        likelihood: p(x | z); None takes what the data asks for.
        prior: p(z); None takes the standard normal.
        objective: What is minimised; None takes the `ELBO`.
        latent_density: Fitted to draws of q(z | x) for training data and sampled from instead of p(z), which they
            need not fill (ex-post density estimation; Ghosh et al. 2019, 1903.12436), one of each label in a
            conditional model; None samples from p(z). Bounds on the likelihood are always those of p(z).
        conditional: Whether to use the data's labels.
        draw_pixels: Whether samples of data with levels are drawn from p(x | z) or are its mean.
        elbo_draws: Draws of z over which `log_prob` averages: each example's own, a function of (seed, its values).
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        latent_dim: Width | None = None,
        backbone: BackboneFactory | None = None,
        likelihood: LikelihoodFactory | None = None,
        prior: PriorFactory | None = None,
        objective: VariationalObjective | None = None,
        latent_density: LatentDensityFactory | None = None,
        conditional: bool = False,
        draw_pixels: bool = False,
        elbo_draws: Count = ELBO_DRAWS,
    ) -> None:
        super().__init__(spec)
        network = backbone or default_backbone
        latent_dim = latent_dim or default_latent_dim(spec)
        self.latent_dim, self.latent_shape, self.elbo_draws = latent_dim, (latent_dim,), elbo_draws
        self.draws_x = draw_pixels or not spec.kind.has_mass
        self.num_classes = classes_of(spec, conditional)
        self.objective = objective or ELBO()
        self.needs_horizon = self.objective.needs_horizon
        self.encoder = network(in_shape=spec.shape, out_shape=(2 * latent_dim,), num_classes=self.num_classes)
        self.decoder = network(in_shape=(latent_dim,), out_shape=spec.shape, num_classes=self.num_classes)
        self.likelihood = (likelihood or default_likelihood)(spec=spec)
        self.dequantisation = self.likelihood.dequantisation
        self.prior = (prior or StandardNormal)(spec=spec, latent_dim=latent_dim, num_classes=self.num_classes)
        self.latent_density: AnyDensity | None = None
        if latent_density is not None:
            self.latent_density = make_density(latent_density, latent_dim, self.num_classes)

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Moments:
        """Mean and log-variance of q(z | x), each (B, latent_dim)."""
        mean, log_var = self.encoder(x, y=y).to(x.dtype).chunk(2, dim=1)  # sums of terms need more than half precision
        return mean, log_var.clamp(-20, 20)

    def draws(self, x: Tensor, y: Tensor | None, q: Moments, prior: NormalMixture, eps: Tensor) -> Draws:
        """Decode at z = μ + σ eps, with (μ, log σ²) = q of x and eps (k, B, latent_dim)."""
        k, (mean, log_var) = len(eps), q
        z = mean + torch.exp(log_var / 2) * eps
        out = self.decoder(z.flatten(0, 1), y=None if y is None else y.repeat(k)).to(x.dtype)
        return Draws(mean, log_var, z, self.likelihood.log_prob(x, out.unflatten(0, (k, -1))), prior)

    def initialise(self, batch: Batch) -> None:
        self.prior.initialise(batch["x"], self.labels_of(batch))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x, y = batch["x"], self.labels_of(batch)
        q, prior = self.posterior(x, y), self.prior.mixture(self.posterior)
        progress = self.progress if self.training else 1.0
        eps = normal(self.objective.draws(progress), *q[0].shape, device=x.device, dim=1).to(x)
        terms = self.objective.drawn(partial(self.draws, x, y, q, prior), eps, progress)
        return terms if self.training else {**terms, "active_units": active_units(q[0])}

    def drawn_log_weights(self, x: Tensor, centre: Tensor, y: Tensor | None, k: int, seed: int) -> Tensor:
        self.check_labels(y, len(x))
        q, prior = self.posterior(centre, y), self.prior.mixture(self.posterior)
        draws = (self.draws(x, y, q, prior, eps[None]) for eps in fixed_draws(centre, k, self.latent_dim, seed))
        return torch.cat([drawn.log_weights for drawn in draws])

    def uncodable(self) -> str | None:
        if not isinstance(self.prior, StandardNormal):
            return "its prior is no standard normal, whose bins of equal mass bits-back coding takes"
        return without_levels(self.spec, self.likelihood)

    def coded_posterior(self, x: Tensor, y: Tensor | None = None) -> Moments:
        self.check_labels(y, len(x))
        mean, log_var = self.posterior(self.spec.centre(x), y)
        return mean, log_var / 2

    def coded_scores(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return level_scores(self.likelihood, self.decoder(z, y=y))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        check_values(x, self.spec.shape, "encode")
        self.check_labels(y, len(x))
        return self.posterior(x, y)[0]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        check_values(z, self.latent_shape, "decode")
        self.check_labels(y, len(z))
        return self.likelihood.mean(self.decoder(z, y=y))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, y), y)

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        out = self.decoder(self._draw_latent(noise, y), y=y)
        return self.likelihood.draw(out, noise(*self.spec.shape)) if self.draws_x else self.likelihood.mean(out)

    def draw_latent(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self._draw_latent(noise, y)

    def latent_log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Of the prior p(z), whatever samples are drawn from."""
        return self.prior.mixture(self.posterior).log_prob(z)

    def from_latent(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(z, y)

    def _draw_latent(self, noise: Noise, y: Tensor | None) -> Tensor:
        if self.latent_density is not None:
            return draw_latents(self.latent_density, noise, y)
        eps, u = noise(self.latent_dim), uniform_draw(noise)
        return self.prior.mixture(self.posterior).draw(u, eps)

    @torch.no_grad()
    def prepare(self, batches: Iterable[Batch]) -> None:
        """Fits the latent density, where there is one, to draws of q(z | x), by label in a conditional model."""
        if self.latent_density is None:
            return
        z, labels = [], []
        for batch in batches:
            y = self.labels_of(batch)
            mean, log_var = self.posterior(batch["x"], y)
            z += [mean + torch.exp(log_var / 2) * eps for eps in fixed_draws(batch["x"], FITTED, self.latent_dim)]
            labels += [] if y is None else [y] * FITTED
        fit_density(self.latent_density, torch.cat(z), torch.cat(labels) if labels else None)


def active_units(mean: Tensor) -> Tensor:
    """Count the latents that move with x: of the posterior means (B, D), those with Var_x > 0.01, ()."""
    return (mean.var(0, correction=0) > ACTIVE).sum().to(mean)


def fixed_draws(x: Tensor, k: int, dim: int, seed: int = 0) -> Iterator[Tensor]:
    """k standard normal draws (B, dim), functions of (seed, the example's values); the first are those of less k."""
    noise = noise_of(x, seed)
    for start in range(0, k, BLOCK):
        yield from noise(min(BLOCK, k - start), dim).to(x).unbind(1)
