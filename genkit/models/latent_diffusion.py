r"""Latent diffusion: a diffusion model of an autoencoder's latents,

.. math:: z = \frac{e(x) - \mu}{s}, \qquad x = d(\mu + s\, z), \quad z \sim \text{diffusion}.

The autoencoder, trained before and frozen, takes care of the details of an image; the diffusion model learns where in
the small latent space the data lies, with a network that is far cheaper to ask. Noise levels and schedules are made for
values of about unit variance, which no autoencoder promises, so μ and s are those of the first batch: without them a
sampler starts far from the latents or ends in the middle of them.

The latents are data like any other to the `Diffusion` inside, vectors or small images, and it chooses its network by
their shape. A density of x is out of reach: the decoder says what one z becomes, not which others would have become it.
"""

from typing import Self

import torch
from torch import Tensor

from genkit.component import Probability
from genkit.data.kinds import Modality
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.diffusion.guidance import EVERYWHERE
from genkit.diffusion.objective import DenoisingObjective
from genkit.diffusion.parametrisation import DenoiserFactory
from genkit.diffusion.schedule import Schedule
from genkit.errors import ConfigError
from genkit.models.base import (
    Conditional,
    Decoder,
    Encoder,
    GenerativeModel,
    Guidable,
    ModelFactory,
    Noise,
    Reconstructor,
    Stepwise,
    classes_of,
)
from genkit.models.diffusion import (
    LEAST_SPREAD,
    Diffusion,
    GuidanceInterval,
    GuidanceScale,
    Solver,
    refuse_other_data,
)
from genkit.models.label_dropout import LABEL_DROPOUT
from genkit.nn.backbone import BackboneFactory
from genkit.upgrade import RetiredBuffers, upgrade_in_loading


class LatentDiffusion(
    GenerativeModel, Encoder, Decoder, Reconstructor, Conditional, Stepwise, Guidable, RetiredBuffers
):
    """Diffusion of the latents of a frozen autoencoder.

    References: High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al. 2021, 2112.10752).

    Arguments:
        spec: The data.
        autoencoder: Any model that encodes and decodes; it is frozen.
        backbone: The denoiser's network; None takes what the latents ask for, an MLP or a U-Net.
        schedule, denoiser, objective, sampler: As of `Diffusion`, on latents of unit variance.
        conditional: Whether to use the data's labels.
        label_dropout: Share of training examples shown without their label, so that guidance is possible.
        guidance_scale: Classifier-free guidance w in sampling a conditional model; 1 is none.
        guidance_interval: Least and greatest noise level at which to guide.

    Raises:
        ConfigError: the autoencoder does not encode and decode, or needs labels that this model has not.
    """

    mean: Tensor
    scale: Tensor
    retired = ("measured",)

    def __init__(
        self,
        *,
        spec: DataSpec,
        autoencoder: ModelFactory,
        backbone: BackboneFactory | None = None,
        schedule: Schedule | None = None,
        denoiser: DenoiserFactory | None = None,
        objective: DenoisingObjective | None = None,
        sampler: Solver = None,
        conditional: bool = False,
        label_dropout: Probability = LABEL_DROPOUT,
        guidance_scale: GuidanceScale = 1.0,
        guidance_interval: GuidanceInterval = EVERYWHERE,
    ) -> None:
        super().__init__(spec)
        self.num_classes = classes_of(spec, conditional)
        self.autoencoder = autoencoder(spec=spec).eval().requires_grad_(False)
        self.latent_shape = self._shape_of_latents()
        modality: Modality = "image" if len(self.latent_shape) == 3 else "vector"
        self.diffusion = Diffusion(
            spec=DataSpec(shape=self.latent_shape, modality=modality, num_classes=spec.num_classes),
            backbone=backbone,
            schedule=schedule,
            denoiser=denoiser,
            objective=objective,
            sampler=sampler,
            conditional=conditional,
            label_dropout=label_dropout,
            guidance_scale=guidance_scale,
            guidance_interval=guidance_interval,
        )
        self.register_buffer("mean", torch.zeros(self.latent_shape[0], *[1] * (len(self.latent_shape) - 1)))
        self.register_buffer("scale", torch.tensor(1.0))
        upgrade_in_loading(self)

    def trainable(self) -> dict[str, torch.nn.Module]:
        return {"model": self.diffusion}

    def train(self, mode: bool = True) -> Self:
        """The autoencoder stays as it is used."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """The mean of each feature (of each channel) and one scale for all of them, unless the latents have no spread.

        The diffusion inside is initialised to what it will see.
        """
        z = self._latents(batch)
        mean = z.transpose(0, 1).flatten(1).mean(1).view_as(self.mean)
        scale = (z - mean).square().mean().sqrt()
        if scale > LEAST_SPREAD:
            self.mean.copy_(mean)
            self.scale.copy_(scale)
        self.diffusion.initialise(self._standardised(batch, z))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        return self.diffusion.losses(self._standardised(batch, self._latents(batch)), phase)

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        z = self.diffusion.sample(n, y=y, noise=noise)
        self.evaluations = self.diffusion.evaluations
        return self.spec.clip(self.decode(self.mean + self.scale * z, y))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The autoencoder's own latent, as it is."""
        check_values(x, self.spec.shape, "encode")
        self.check_labels(y, len(x))
        assert isinstance(self.autoencoder, Encoder)
        return self.autoencoder.encode(x, self._autoencoders(y))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        check_values(z, self.latent_shape, "decode")
        self.check_labels(y, len(z))
        assert isinstance(self.autoencoder, Decoder)
        return self.autoencoder.decode(z, self._autoencoders(y))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, y), y)

    def guide(self, weak: GenerativeModel, scale: float, interval: tuple[float, float] | None = None) -> None:
        """By another diffusion of the very same latents."""
        if not isinstance(weak, LatentDiffusion):
            raise ConfigError(f"guidance.weak: {type(weak).__name__} is no latent diffusion: name a checkpoint of one")
        refuse_other_data(self.spec, weak.spec)
        if not self._shares_latents(weak):
            raise ConfigError(
                "guidance.weak: its latents are of another autoencoder or were scaled by another first batch: name an "
                "earlier checkpoint of the run, or one trained with the same autoencoder, seed and data.batch_size"
            )
        self.diffusion.guide(weak.diffusion, scale, interval)

    @property
    def weak(self) -> GenerativeModel | None:  # type: ignore[override]
        return self.diffusion.weak

    def _shares_latents(self, other: "LatentDiffusion") -> bool:
        mine, others = (model.autoencoder.state_dict() for model in (self, other))
        same = mine.keys() == others.keys() and all(torch.equal(value, others[key]) for key, value in mine.items())
        return same and torch.equal(self.mean, other.mean) and torch.equal(self.scale, other.scale)

    @torch.no_grad()
    def _latents(self, batch: Batch) -> Tensor:
        return self.encode(batch["x"], self.labels_of(batch)).to(batch["x"].dtype)

    def _standardised(self, batch: Batch, z: Tensor) -> Batch:
        """The batch that the diffusion inside sees, for its latents z."""
        return {**batch, "x": (z - self.mean) / self.scale}

    def _shape_of_latents(self) -> tuple[int, ...]:
        model = self.autoencoder
        name = type(model).__name__
        if not (isinstance(model, Encoder) and isinstance(model, Decoder)):
            raise ConfigError(
                f"model.autoencoder: {name} has no encoder and decoder: name a checkpoint of one that has, such as "
                "model=autoencoder, vae or vq_vae"
            )
        if self.num_classes is None and self._autoencoder_takes_labels:
            raise ConfigError(f"model.autoencoder: this {name} takes labels: add model.conditional=true")
        return model.latent_shape

    @property
    def _autoencoder_takes_labels(self) -> bool:
        return isinstance(self.autoencoder, Conditional) and self.autoencoder.num_classes is not None

    def _autoencoders(self, y: Tensor | None) -> Tensor | None:
        """The labels where the autoencoder was trained with them."""
        return y if self._autoencoder_takes_labels else None
