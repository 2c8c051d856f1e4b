r"""Autoencoders: compress and restore,

.. math:: \min_{e, d} E\,\| x - d(e(x)) \|^2,

summed over dimensions. To sample, a density is fitted to the latents of the training data (`prepare`).
"""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor

from genkit.component import Width
from genkit.data.spec import Batch, DataSpec
from genkit.models.base import Conditional, Decoder, Encoder, GenerativeModel, Noise, Reconstructor, classes_of
from genkit.models.latent import GaussianMixture
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone


class LatentDensityFactory(Protocol):
    """What the `latent_density` argument is, finished with the size of the latent."""

    def __call__(self, *, latent_dim: int) -> GaussianMixture: ...


class Autoencoder(GenerativeModel, Encoder, Decoder, Reconstructor, Conditional):
    """Autoencoder with a mixture of Gaussians on its latents.

    References: Reducing the Dimensionality of Data with Neural Networks (Hinton & Salakhutdinov 2006); ex-post density
    estimation from Ghosh et al. 2019, 1903.12436.

    Arguments:
        spec: The data.
        latent_dim: Size of z; None takes 16 for images and the data's own dimension (at most 16) for vectors.
        backbone: Encoder and decoder; None takes what the data asks for.
        latent_density: Fitted to the latents; None takes ten Gaussians.
        conditional: Whether to use the data's labels.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        latent_dim: Width | None = None,
        backbone: BackboneFactory | None = None,
        latent_density: LatentDensityFactory | None = None,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec)
        network = backbone or default_backbone
        latent_dim = latent_dim or min(16, spec.dim)
        self.num_classes = classes_of(spec, conditional)
        self.encoder = network(in_shape=spec.shape, out_shape=(latent_dim,), num_classes=self.num_classes)
        self.decoder = network(in_shape=(latent_dim,), out_shape=spec.shape, num_classes=self.num_classes)
        self.latent_density = (latent_density or GaussianMixture)(latent_dim=latent_dim)

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x, y = batch["x"], self.labels_of(batch)
        restored = self.decoder(self.encoder(x, y=y), y=y)
        reconstruction = (restored - x).square().flatten(1).sum(1).mean()
        return {"loss": reconstruction, "reconstruction": reconstruction}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.check_labels(y)
        return self.encoder(x, y=y)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        self.check_labels(y)
        x = self.decoder(z, y=y)
        return self.spec.clip(x)

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, y), y)

    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.decode(self.latent_density.sample(noise), y)

    @torch.no_grad()
    def prepare(self, batches: Iterable[Batch]) -> None:
        """Fits the density to the latents of `batches`."""
        z = [self.encode(b["x"], self.labels_of(b)) for b in batches]
        self.latent_density.fit(torch.cat(z))
