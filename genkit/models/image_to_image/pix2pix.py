r"""Image-to-image translation with a conditional adversarial network (pix2pix):

.. math:: \min_D\; L_D(D(c, x), D(c, G(c))), \qquad
          \min_G\; L_G(D(c, G(c))) + \lambda\, \| x - G(c) \|_1 .

The L1 term says what is where, and alone would blur what it does not know; the discriminator, which sees the condition
beside the image, patch by patch, asks for texture. G is a U-Net: what the two images have in common goes through its
skips. It draws no noise: the original's dropout changes little of its output, and here one input has one output.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genkit.component import NonNegativeFloat, Width
from genkit.data.spec import Batch, DataSpec
from genkit.models.base import Noise
from genkit.models.conditional_on_image import ImageToImage
from genkit.models.gan.adversarial_loss import AdversarialLoss, NonSaturatingLoss
from genkit.models.image_to_image.patch_discriminator import CHANNELS, PatchDiscriminator
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone


class Pix2Pix(ImageToImage):
    """U-Net generator under an L1 and an adversarial loss of patches.

    References: Image-to-Image Translation with Conditional Adversarial Networks (Isola et al. 2016, 1611.07004).

    Arguments:
        spec: The data, pairs of images.
        backbone: The generator; None takes a U-Net.
        loss: None takes the non-saturating loss.
        l1: λ, weight of the mean absolute error in model units; 0 leaves it to the discriminator.
        channels: Widths of the discriminator's layers.
    """

    phases = ("discriminator", "generator")

    def __init__(
        self,
        *,
        spec: DataSpec,
        backbone: BackboneFactory | None = None,
        loss: AdversarialLoss | None = None,
        l1: NonNegativeFloat = 100.0,
        channels: tuple[Width, ...] = CHANNELS,
    ) -> None:
        super().__init__(spec)
        self.generator = (backbone or default_backbone)(in_shape=self.condition_shape, out_shape=spec.shape)
        both = (self.condition_shape[0] + spec.shape[0], *spec.shape[1:])
        self.discriminator = PatchDiscriminator(both, channels)
        self.loss, self.l1 = loss or NonSaturatingLoss(), l1

    def trainable(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def compilable(self) -> Iterable[nn.Module]:
        return [self.generator]

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x, c = batch["x"], batch["c"]
        if phase == "generator":
            return self._generator(x, c)
        with torch.no_grad():
            fake = self.generated(c)
        real_logits, fake_logits = self.judged(c, x), self.judged(c, fake)
        loss = self.loss.discriminator(real_logits, fake_logits)
        return {"loss": loss, "real_logits": real_logits.mean(), "fake_logits": fake_logits.mean()}

    def generated(self, c: Tensor) -> Tensor:
        """G(c), (B, *shape), squashed into the data's range."""
        return self.spec.squash(self.generator(c))

    def judged(self, c: Tensor, x: Tensor) -> Tensor:
        """Logits (B · P,) of the patches of pairs."""
        return self.discriminator(torch.cat([c, x], 1)).flatten()

    def from_image(self, c: Tensor, *, noise: Noise) -> Tensor:
        return self.spec.clip(self.generated(self.checked(c)))

    def _generator(self, x: Tensor, c: Tensor) -> dict[str, Tensor]:
        fake = self.generated(c)
        real_logits = self.judged(c, x) if self.loss.pairs else x.new_zeros(())
        adversarial = self.loss.generator(real_logits, self.judged(c, fake))
        absolute = (x - fake).abs().mean()
        return {"loss": adversarial + self.l1 * absolute, "adversarial": adversarial, "l1": absolute}
