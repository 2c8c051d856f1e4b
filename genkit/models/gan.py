r"""Generative adversarial networks: a generator G(z) and a discriminator D(x) trained against each other.

.. math:: \min_D\; L_D(D(x), D(G(z))) + \tfrac{\gamma}{2}\big(E\|\nabla D(x)\|^2 + E\|\nabla D(G(z))\|^2\big),
          \qquad \min_G\; L_G(D(x), D(G(z)))

The default is the recipe of R3GAN: a relativistic loss with both zero-centred gradient penalties and networks without
normalisation, for which local convergence is proven.
"""

from functools import partial
from typing import Annotated

import torch
from torch import Tensor, nn

from genkit.component import NonNegativeFloat, Range, Width
from genkit.data.spec import Batch, DataSpec
from genkit.models.adversarial import AdversarialLoss, RelativisticLoss, gradient_penalty
from genkit.models.base import Conditional, GenerativeModel, Noise, classes_of
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone
from genkit.nn.mlp import MLP

SMALL = 1024  # values in an image, up to which an MLP serves
SMALL_NETWORK = partial(MLP, width=256, depth=3)


class GAN(GenerativeModel, Conditional):
    """Generative adversarial network.

    References: The GAN is dead; long live the GAN! A Modern Baseline GAN (Huang et al. 2024, 2501.05441).

    Arguments:
        spec: The data.
        latent_dim: Size of z.
        backbone: Generator and discriminator; None takes an MLP for images of up to 1,024 values, where it learns
            several times faster than convolutions, and otherwise what the data asks for.
        loss: None takes the relativistic loss.
        gamma: γ, weight of the gradient penalties; their gradients are per unit of the data as it is scaled.
        n_critic: Discriminator steps per generator step.
        conditional: Whether to use the data's labels.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        latent_dim: Width = 32,
        backbone: BackboneFactory | None = None,
        loss: AdversarialLoss | None = None,
        gamma: NonNegativeFloat = 0.1,
        n_critic: Annotated[int, Range(1, 100)] = 1,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec)
        network = backbone or (SMALL_NETWORK if spec.modality == "image" and spec.dim <= SMALL else default_backbone)
        self.latent_dim, self.gamma = latent_dim, gamma
        self.loss = loss or RelativisticLoss()
        self.phases = ("discriminator",) * n_critic + ("generator",)
        self.num_classes = classes_of(spec, conditional)
        self.generator = network(in_shape=(latent_dim,), out_shape=spec.shape, num_classes=self.num_classes)
        self.discriminator = network(in_shape=spec.shape, out_shape=(1,), num_classes=self.num_classes)

    def trainable(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x, y = batch["x"], self.labels_of(batch)
        z = torch.randn(len(x), self.latent_dim, device=x.device)
        return self._generator(x, y, z) if phase == "generator" else self._discriminator(x, y, z)

    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y)
        x = self.generator(noise(self.latent_dim), y=y)
        return self.spec.clip(x)

    def judge(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The discriminator's logits, (B, *shape) to (B,)."""
        return self.discriminator(x, y=y)[:, 0]

    def _generator(self, x: Tensor, y: Tensor | None, z: Tensor) -> dict[str, Tensor]:
        loss = self.loss.generator(self.judge(x, y), self.judge(self.generator(z, y=y), y))
        return {"loss": loss}

    def _discriminator(self, x: Tensor, y: Tensor | None, z: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self.generator(z, y=y)
        penalised = self.training and self.gamma > 0  # second derivatives only where they train something
        x, fake = x.detach().requires_grad_(penalised), fake.requires_grad_(penalised)
        real_logits, fake_logits = self.judge(x, y), self.judge(fake, y)
        adversarial = self.loss.discriminator(real_logits, fake_logits)
        terms = {"adversarial": adversarial, "real_logits": real_logits.mean(), "fake_logits": fake_logits.mean()}
        if not penalised:
            return {"loss": adversarial, **terms}
        r1, r2 = gradient_penalty(real_logits, x), gradient_penalty(fake_logits, fake)
        return {"loss": adversarial + self.gamma / 2 * (r1 + r2), **terms, "r1": r1, "r2": r2}
