r"""Autoencoders: compress and restore,

.. math:: \min_{e, d}\; E\,\| x - d(e(\tilde x)) \|^2 + \lambda_z R_z(e) + \lambda_d R_d(d),

the error summed over dimensions. x̃ is x, or a corruption of it that the network learns to undo; R_z and R_d are
penalties on the latents and on the decoder, none by default. Where the data has a range, d ends in a tanh that spans
it: many pixels of a digit are as dark as any can be, and an output without bounds misses them by a little on either
side, of which clipping leaves the one half as grain. To sample, a density is fitted to the latents of the
training data (`prepare`), in a conditional model one to those of each label. Members of the family are recipes over
these four parts:

* plain: no part,
* denoising: a corruption (`genkit/models/autoencoder/corruption.py`),
* sparse, contractive: a penalty on the latents (`genkit/models/autoencoder/penalty.py`),
* regularised (RAE): penalties on the latents and on the decoder, or instead of the second a decoder whose weights
  have spectral norm one.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genkit.component import Width
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.models.autoencoder.corruption import CorruptionFactory
from genkit.models.autoencoder.penalty import AutoencoderPenalty, DecoderPenalty, LatentPenalty
from genkit.models.base import Conditional, Decoder, Encoder, GenerativeModel, Noise, Reconstructor, classes_of
from genkit.models.density_per_label import draw_latents, fit_density, make_density
from genkit.models.latent_density import GaussianMixture, LatentDensityFactory
from genkit.models.latent_size import default_latent_dim
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone
from genkit.nn.spectral import spectrally_normalised


class Autoencoder(GenerativeModel, Encoder, Decoder, Reconstructor, Conditional):
    """Autoencoder with a density on its latents.

    References: Reducing the Dimensionality of Data with Neural Networks (Hinton & Salakhutdinov 2006); ex-post density
    estimation from Ghosh et al. 2019, 1903.12436.

    Arguments:
        spec: The data.
        latent_dim: Size of z; None chooses by the data (16 for small images, 64 for 32x32 in colour), at most its own
            dimension.
        backbone: Encoder and decoder; None takes what the data asks for.
        latent_density: Fitted to the latents, by label in a conditional model; None takes ten Gaussians.
        corruption: Of the encoder's input while training; None for none.
        latent_penalty: R_z; None for none.
        decoder_penalty: R_d; None for none.
        spectral_decoder: Whether every weight of the decoder has spectral norm one.
        squash_output: Whether the decoder ends in a tanh into the data's range, if it has one.
        conditional: Whether to use the data's labels.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        latent_dim: Width | None = None,
        backbone: BackboneFactory | None = None,
        latent_density: LatentDensityFactory | None = None,
        corruption: CorruptionFactory | None = None,
        latent_penalty: LatentPenalty | None = None,
        decoder_penalty: DecoderPenalty | None = None,
        spectral_decoder: bool = False,
        squash_output: bool = True,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec)
        network = backbone or default_backbone
        latent_dim = latent_dim or min(default_latent_dim(spec), spec.dim)
        self.latent_shape = (latent_dim,)
        self.num_classes = classes_of(spec, conditional)
        self.encoder = network(in_shape=spec.shape, out_shape=(latent_dim,), num_classes=self.num_classes)
        self.decoder = network(in_shape=(latent_dim,), out_shape=spec.shape, num_classes=self.num_classes)
        if spectral_decoder:
            spectrally_normalised(self.decoder)
        self.latent_density = make_density(latent_density or GaussianMixture, latent_dim, self.num_classes)
        self.corruption = None if corruption is None else corruption(spec=spec)
        self.latent_penalty, self.decoder_penalty = latent_penalty, decoder_penalty
        self.squash_output = squash_output

    def compilable(self) -> Iterable[nn.Module]:
        penalties = (self.encoder, self.latent_penalty), (self.decoder, self.decoder_penalty)
        return [network for network, penalty in penalties if penalty is None or not penalty.differentiates]

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x, y = batch["x"], self.labels_of(batch)
        seen = self._seen(x)
        z = self.encoder(seen, y=y)
        restored = self._restored(z, y)
        reconstruction = (restored - x).square().flatten(1).sum(1).mean()
        loss, terms = reconstruction, {"reconstruction": reconstruction}
        if self.latent_penalty is not None and self._applies(self.latent_penalty):
            terms[self.latent_penalty.name] = term = self.latent_penalty(seen, z)
            loss = loss + self.latent_penalty.weight * term
        if self.decoder_penalty is not None and self._applies(self.decoder_penalty):
            terms[self.decoder_penalty.name] = term = self.decoder_penalty(self.decoder, z, restored)
            loss = loss + self.decoder_penalty.weight * term
        return {"loss": loss, **terms}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        check_values(x, self.spec.shape, "encode")
        self.check_labels(y, len(x))
        return self.encoder(x, y=y)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        check_values(z, self.latent_shape, "decode")
        self.check_labels(y, len(z))
        return self.spec.clip(self._restored(z, y))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, y), y)

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        return self.decode(draw_latents(self.latent_density, noise, y), y)

    @torch.no_grad()
    def prepare(self, batches: Iterable[Batch]) -> None:
        """Fits the density to the latents of `batches`, that of each label to its own."""
        parts = [(batch["x"], self.labels_of(batch)) for batch in batches]
        labels = [y for _, y in parts if y is not None]
        z = torch.cat([self.encode(x, y) for x, y in parts])
        fit_density(self.latent_density, z, torch.cat(labels) if labels else None)

    def _restored(self, z: Tensor, y: Tensor | None) -> Tensor:
        out: Tensor = self.decoder(z, y=y)
        return self.spec.squash(out) if self.squash_output else out

    def _seen(self, x: Tensor) -> Tensor:
        """Make the input of the encoder: x, corrupted while training, ready to be differentiated by if need be."""
        if self.training and self.corruption is not None:
            x = self.corruption(x)
        differentiated = self.latent_penalty is not None and self.latent_penalty.differentiates
        return x.detach().requires_grad_() if self.training and differentiated else x

    def _applies(self, penalty: AutoencoderPenalty) -> bool:
        """Derivatives cost as much as a training step and train nothing in a validation."""
        return self.training or not penalty.differentiates
