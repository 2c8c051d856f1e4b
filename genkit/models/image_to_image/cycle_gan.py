r"""Translation between two domains without pairs, by two generators that undo each other (CycleGAN):

.. math:: \min_{G, F}\; L_G(D_X(G(c))) + L_G(D_C(F(x)))
          + \lambda\, (|F(G(c)) - c| + |G(F(x)) - x|) + \mu\, (|G(x) - x| + |F(c) - c|)

G makes images x of the target domain from images c of the other, F the other way. A discriminator of each domain says
whether the outputs belong there; that what is made can be undone keeps G from making anything of anything. The third
term, that an image which is in the domain already is left alone, keeps colours and places. x and c of a batch have
nothing to do with each other.

The original shows its discriminators a history of generated images too; here they see the latest.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genkit.component import NonNegativeFloat, Width
from genkit.data.spec import Batch, DataSpec
from genkit.errors import ConfigError
from genkit.models.base import Noise
from genkit.models.conditional_on_image import ImageToImage, ReturnsImage
from genkit.models.gan.adversarial_loss import AdversarialLoss, LeastSquaresLoss
from genkit.models.image_to_image.patch_discriminator import CHANNELS, PatchDiscriminator
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone


class CycleGAN(ImageToImage, ReturnsImage):
    """Two generators and two discriminators of patches.

    References: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu et al. 2017,
    1703.10593).

    Arguments:
        spec: The data, images of two domains.
        backbone: Of both generators; None takes a U-Net.
        loss: None takes least squares.
        cycle: λ, weight of the mean absolute error there and back, in model units.
        identity: μ, weight of what a generator changes of an image that is in its domain already; None takes 5, or 0
            where the two domains have different numbers of channels.
        channels: Widths of the discriminators' layers.

    Raises:
        ConfigError: the identity is asked of images with another number of channels than they are to have.
    """

    phases = ("discriminator", "generator")

    def __init__(
        self,
        *,
        spec: DataSpec,
        backbone: BackboneFactory | None = None,
        loss: AdversarialLoss | None = None,
        cycle: NonNegativeFloat = 10.0,
        identity: NonNegativeFloat | None = None,
        channels: tuple[Width, ...] = CHANNELS,
    ) -> None:
        super().__init__(spec)
        c, x, network = self.condition_shape, spec.shape, backbone or default_backbone
        identity = (5.0 if c == x else 0.0) if identity is None else identity
        if identity and c != x:
            raise ConfigError(
                f"model.identity={identity:g}: images of {c[0]} channels are made from {x[0]}: set model.identity=0"
            )
        self.generators = nn.ModuleDict(
            {"there": network(in_shape=c, out_shape=x), "back": network(in_shape=x, out_shape=c)}
        )
        self.discriminators = nn.ModuleDict(
            {"there": PatchDiscriminator(x, channels), "back": PatchDiscriminator(c, channels)}
        )
        self.loss, self.cycle, self.identity = loss or LeastSquaresLoss(), cycle, identity

    def trainable(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminators, "generator": self.generators}

    def compilable(self) -> Iterable[nn.Module]:
        return self.generators.values()

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x, c = batch["x"], batch["c"]
        return self._generator(x, c) if phase == "generator" else self._discriminator(x, c)

    def made(self, way: str, image: Tensor) -> Tensor:
        """The image by the generator of one way, squashed into the data's range."""
        return self.spec.squash(self.generators[way](image))

    def from_image(self, c: Tensor, *, noise: Noise) -> Tensor:
        return self.spec.clip(self.made("there", self.checked(c)))

    def to_image(self, x: Tensor) -> Tensor:
        return self.spec.clip(self.made("back", x))

    def _discriminator(self, x: Tensor, c: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fakes = {"there": self.made("there", c), "back": self.made("back", x)}
        terms = {}
        for way, real in (("there", x), ("back", c)):
            judge = self.discriminators[way]
            terms[way] = self.loss.discriminator(judge(real).flatten(), judge(fakes[way]).flatten())
        return {"loss": terms["there"] + terms["back"], **terms}

    def _generator(self, x: Tensor, c: Tensor) -> dict[str, Tensor]:
        there, back = self.made("there", c), self.made("back", x)
        adversarial = self._adversarial("there", x, there) + self._adversarial("back", c, back)
        cycle = _absolute(self.made("back", there), c) + _absolute(self.made("there", back), x)
        terms = {"adversarial": adversarial, "cycle": cycle}
        loss = adversarial + self.cycle * cycle
        if self.identity:
            terms["identity"] = _absolute(self.made("there", x), x) + _absolute(self.made("back", c), c)
            loss = loss + self.identity * terms["identity"]
        return {"loss": loss, **terms}

    def _adversarial(self, way: str, real: Tensor, fake: Tensor) -> Tensor:
        judge = self.discriminators[way]
        real_logits = judge(real).flatten() if self.loss.pairs else fake.new_zeros(())
        return self.loss.generator(real_logits, judge(fake).flatten())


def _absolute(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().mean()
