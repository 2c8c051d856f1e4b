r"""Generative adversarial networks: a generator G(z) and a discriminator D(x) trained against each other.

.. math:: \min_D\; L_D(D(x), D(G(z))) + \sum_i w_i P_i(D), \qquad \min_G\; L_G(D(x), D(G(z)))

Every member of the family is a choice of the parts: the loss L, penalties P or a constraint or spectral normalisation
that bound the slope of D, how labels enter, an augmentation before D, a code within z that D must recover. The default
is the recipe of R3GAN: a relativistic loss with both zero-centred gradient penalties and networks without
normalisation, for which local convergence is proven.
"""

from collections.abc import Iterable
from math import nan
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from genkit.batch_noise import normal
from genkit.component import AtSampling, PositiveFloat, Range, Width
from genkit.data.kinds import Modality
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.distributions import truncated_normal
from genkit.models.base import Conditional, GenerativeModel, Noise, NormalLatent, classes_of
from genkit.models.gan.adversarial_loss import AdversarialLoss, RelativisticLoss
from genkit.models.gan.augmentation import Augmentation
from genkit.models.gan.discriminator import Concatenation, Discriminator, DiscriminatorOutput, HeadFactory
from genkit.models.gan.gradient_penalty import R1, R2, Constraint, DiscriminatorPenalty, Judged
from genkit.models.gan.latent_code import LatentCode
from genkit.models.judges import Judges
from genkit.models.latent_size import default_noise_dim
from genkit.models.latent_variable import StandardLatent
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import critical_backbone
from genkit.nn.spectral import spectrally_normalised


class GAN(GenerativeModel, NormalLatent, StandardLatent, Judges, Conditional):
    """Generative adversarial network.

    References: The GAN is dead; long live the GAN! A Modern Baseline GAN (Huang et al. 2024, 2501.05441).

    Arguments:
        spec: The data.
        latent_dim: Size of z; None chooses by the data: 32, for 32x32 in colour 64.
        backbone: Generator and discriminator; None takes an MLP for images of up to 1,024 values, where it learns
            several times faster than convolutions, strided convolutions for larger ones in colour, and otherwise what
            the data asks for.
        loss: None takes the relativistic loss.
        penalties: Added to the discriminator's loss, in training alone.
        constraint: What the discriminator's weights are kept in, None for nothing.
        spectral_discriminator, spectral_generator: Whether every weight has spectral norm one.
        conditioning: How labels enter the discriminator; None takes the concatenation.
        augment: What changes real and generated examples before the discriminator sees them, one after the other.
        code: What of z the discriminator must recover, None for nothing.
        minibatch_std: Whether the discriminator is told how varied a group of examples is.
        features: Width of the discriminator's last layer.
        n_critic: Discriminator steps per generator step.
        conditional: Whether to use the data's labels.
        truncation: Samples come from latents of the normal truncated to [−t, t], as typical as t is small (Brock et al.
            2018, 1809.11096); None takes the whole of it.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        latent_dim: Width | None = None,
        backbone: BackboneFactory | None = None,
        loss: AdversarialLoss | None = None,
        penalties: tuple[DiscriminatorPenalty, ...] = (R1(), R2()),
        constraint: Constraint | None = None,
        spectral_discriminator: bool = False,
        spectral_generator: bool = False,
        conditioning: HeadFactory | None = None,
        augment: tuple[Augmentation, ...] = (),
        code: LatentCode | None = None,
        minibatch_std: bool = False,
        features: Width = 64,
        n_critic: Annotated[int, Range(1, 100)] = 1,
        conditional: bool = False,
        truncation: Annotated[
            PositiveFloat | None, AtSampling("largest latent value: 0.7 draws more typical samples")
        ] = None,
    ) -> None:
        super().__init__(spec)
        latent_dim = latent_dim or default_noise_dim(spec)
        for augmentation in augment:
            augmentation.check(spec)
        if code is not None:
            code.check(latent_dim)
        network = backbone or critical_backbone(spec.shape)
        self.latent_dim, self.truncation, self.loss = latent_dim, truncation, loss or RelativisticLoss()
        self.penalties, self.constraint, self.augment, self.code = penalties, constraint, augment, code
        self.spectral = spectral_discriminator
        self.phases = ("discriminator",) * n_critic + ("generator",)
        self.needs_horizon = any(augmentation.needs_horizon for augmentation in augment)
        self.num_classes = classes_of(spec, conditional)
        self.generator = network(in_shape=(latent_dim,), out_shape=spec.shape, num_classes=self.num_classes)
        self.discriminator = Discriminator(
            spec=spec,
            network=network,
            head=conditioning or Concatenation,
            features=features,
            num_classes=self.num_classes,
            varied=minibatch_std,
            code=code,
        )
        for normalised, player in (
            (spectral_generator, self.generator),
            (spectral_discriminator, self.discriminator),
        ):
            if normalised:
                spectrally_normalised(player)

    def trainable(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def compilable(self) -> Iterable[nn.Module]:
        return [self.generator] if self.penalties else super().compilable()

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        if self.constraint is not None and self.training:
            self.constraint(self.discriminator)
        x, y = batch["x"], self.labels_of(batch)
        z = normal(len(x), self.latent_dim, device=x.device)
        z = z if self.code is None else self.code.encode(z)
        return self._generator(x, y, z) if phase == "generator" else self._discriminator(x, y, z)

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        z = noise(self.latent_dim)
        return self.decode(z if self.truncation is None else truncated_normal(z, self.truncation), y)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        check_values(z, (self.latent_dim,), "decode")
        self.check_labels(y, len(z))
        return self.generated(z if self.code is None else self.code.encode(z), y)

    @property
    def latent_size(self) -> int:  # type: ignore[override]
        return self.latent_dim

    def from_latent(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(z, y)

    def generated(self, z: Tensor, y: Tensor | None) -> Tensor:
        """G(z), (B, *shape), for latents with their code: squashed into the data's range, in training as in sampling.

        An unbounded G is told of noise around a constant background pixel by pixel; a bounded one leaves it behind.
        """
        return self.spec.squash(self.generator(z, y=y))

    def judge(self, x: Tensor, y: Tensor | None = None) -> DiscriminatorOutput:
        """Judge examples (B, *shape), in training augmented ones."""
        return self.discriminator(self._augmented(x), y)

    def realness(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.check_labels(y, len(x))
        return self.judge(x, y).logits

    def _augmented(self, x: Tensor) -> Tensor:
        for augmentation in self.augment if self.training else ():
            x = augmentation(x, self.progress)
        return x

    def _real_logits(self, x: Tensor, y: Tensor | None) -> Tensor | None:
        """D(x) in the generator's step, None where its loss does not ask.

        What augmentation draws for real examples is drawn all the same, before what it draws for generated ones, and
        spectral norms are told by one pass more: so a run goes on exactly that began when every loss was given D(x).
        """
        if self.loss.pairs:
            return self.judge(x, y).logits
        x = self._augmented(x)
        if self.training and self.spectral:
            with torch.no_grad():
                self.discriminator(x, y)
        return None

    def _generator(self, x: Tensor, y: Tensor | None, z: Tensor) -> dict[str, Tensor]:
        real = self._real_logits(x, y)
        fake = self.judge(self.generated(z, y), y)
        adversarial = self.loss.generator(fake.logits.new_full((len(x),), nan) if real is None else real, fake.logits)
        recognised = self.discriminator.head.recognition(fake.h, y) | self._recovered(fake.h, z)
        return {"loss": adversarial + sum(recognised.values()), "adversarial": adversarial, **recognised}

    def _discriminator(self, x: Tensor, y: Tensor | None, z: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self.generated(z, y)
        penalised = self.training and bool(self.penalties)  # second derivatives only where they train something
        x, fake = x.detach().requires_grad_(penalised), fake.requires_grad_(penalised)
        of_real, of_fake = self.judge(x, y), self.judge(fake, y)
        real_logits, fake_logits = of_real.logits, of_fake.logits
        adversarial = self.loss.discriminator(real_logits, fake_logits)
        terms = {"adversarial": adversarial, "real_logits": real_logits.mean(), "fake_logits": fake_logits.mean()}
        recognised = self._recognised(of_real.h, of_fake.h, y) | self._recovered(of_fake.h, z)
        loss = adversarial + sum(recognised.values())
        if penalised:
            judged = Judged(x, fake, real_logits, fake_logits, lambda some: self.judge(some, y).logits)
            for penalty in self.penalties:
                terms[penalty.name] = penalty(judged)
                loss = loss + penalty.weight * terms[penalty.name]
        return {"loss": loss, **terms, **recognised}

    def _recognised(self, real: Tensor, fake: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """The head's terms on features (B, F) of real and of generated examples."""
        of_real, of_fake = (self.discriminator.head.recognition(h, y) for h in (real, fake))
        return {name: term + of_fake[name] for name, term in of_real.items()}

    def _recovered(self, h: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Measure how well the code in z is recovered from features (B, F) of what was generated from it."""
        if self.code is None or self.discriminator.recover is None:
            return {}
        return {"information": self.code.loss(self.discriminator.recover(h), z)}


class ImageGAN(GAN):
    """A GAN of images alone: for recipes whose networks are convolutions."""

    modalities: ClassVar[tuple[Modality, ...]] = ("image",)
