r"""Variational autoencoders: maximise a lower bound on log p(x) = log ∫ p(x | z) N(z; 0, I) dz,

.. math:: \log p(x) \ge E_{q(z|x)}[\log p(x|z)] - KL(q(z|x)\,\|\,N(0, I)), \quad q(z|x) = N(\mu(x), \sigma^2(x)).

Both terms are sums over dimensions, in nats; a mean over pixels would be another objective.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from genkit.component import NonNegativeFloat, PositiveInt, Probability, Width
from genkit.data.spec import Batch, DataSpec
from genkit.distributions import normal_kl
from genkit.models.base import (
    Bound,
    Conditional,
    Decoder,
    Density,
    Encoder,
    GenerativeModel,
    Noise,
    Reconstructor,
    classes_of,
)
from genkit.models.likelihood import LikelihoodFactory, default_likelihood
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone
from genkit.noise import generator_of


class VAE(GenerativeModel, Density, Encoder, Decoder, Reconstructor, Conditional):
    """Gaussian variational autoencoder.

    References: Auto-Encoding Variational Bayes (Kingma & Welling 2013, 1312.6114).

    Arguments:
        spec: The data.
        latent_dim: Size of z.
        backbone: Encoder and decoder; None takes what the data asks for.
        likelihood: p(x | z); None takes what the data asks for.
        conditional: Whether to use the data's labels.
        beta: Weight of the KL term; 1 is the bound itself.
        kl_warmup: Share of the training during which the KL's weight rises from 0 to beta.
        draw_pixels: Whether samples of data with levels are drawn from p(x | z) or are its mean.
        elbo_draws: Draws of z, common to all examples, over which `log_prob` averages; an even number is antithetic.
    """

    bound: Bound = "lower"

    def __init__(
        self,
        *,
        spec: DataSpec,
        latent_dim: Width = 16,
        backbone: BackboneFactory | None = None,
        likelihood: LikelihoodFactory | None = None,
        conditional: bool = False,
        beta: NonNegativeFloat = 1.0,
        kl_warmup: Probability = 0.1,
        draw_pixels: bool = False,
        elbo_draws: PositiveInt = 16,
    ) -> None:
        super().__init__(spec)
        network = backbone or default_backbone
        self.latent_dim, self.beta, self.kl_warmup = latent_dim, beta, kl_warmup
        self.draws_x = draw_pixels or spec.levels is None
        self.elbo_draws = elbo_draws
        self.needs_horizon = kl_warmup > 0
        self.num_classes = classes_of(spec, conditional)
        self.encoder = network(in_shape=spec.shape, out_shape=(2 * latent_dim,), num_classes=self.num_classes)
        self.decoder = network(in_shape=(latent_dim,), out_shape=spec.shape, num_classes=self.num_classes)
        self.likelihood = (likelihood or default_likelihood)(spec=spec)

    def posterior(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (B, latent_dim)."""
        mean, log_var = self.encoder(x, y=y).chunk(2, dim=1)
        return mean, log_var.clamp(-20, 20)

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x, y = batch["x"], self.labels_of(batch)
        mean, log_var = self.posterior(x, y)
        z = mean + torch.exp(log_var / 2) * torch.randn_like(mean)
        reconstruction = -self.likelihood.log_prob(x, self.decoder(z, y=y)).mean()
        kl = normal_kl(mean, log_var).mean()
        warm = min(1.0, self.progress / self.kl_warmup) if self.training and self.kl_warmup > 0 else 1.0
        return {"loss": reconstruction + warm * self.beta * kl, "reconstruction": reconstruction, "kl": kl}

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The evidence lower bound in nats; the draws of z are fixed, so it is a function of x."""
        self.check_labels(y)
        mean, log_var = self.posterior(x, y)
        terms = [
            self.likelihood.log_prob(x, self.decoder(mean + torch.exp(log_var / 2) * eps, y=y))
            for eps in self._fixed_draws(x)
        ]
        return torch.stack(terms).mean(0) - normal_kl(mean, log_var)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.check_labels(y)
        return self.posterior(x, y)[0]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        self.check_labels(y)
        return self.likelihood.mean(self.decoder(z, y=y))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, y), y)

    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y)
        out = self.decoder(noise(self.latent_dim), y=y)
        return self.likelihood.draw(out, noise(*self.spec.shape)) if self.draws_x else self.likelihood.mean(out)

    def _fixed_draws(self, x: Tensor) -> Iterator[Tensor]:
        """eps (latent_dim,), the same at every call, in antithetic pairs."""
        eps = torch.randn((self.elbo_draws + 1) // 2, self.latent_dim, generator=generator_of(0, "elbo"))
        return iter(torch.cat((eps, -eps))[: self.elbo_draws].to(x))
