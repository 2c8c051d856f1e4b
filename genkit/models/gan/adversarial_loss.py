r"""Adversarial losses: what the discriminator and the generator each minimise, given logits of real and generated data.

With r = D(x), f = D(G(z)) and s(u) = softplus(u) = log(1 + e^u):

================  ==========================  ==============
loss              discriminator               generator
================  ==========================  ==============
non-saturating    s(−r) + s(f)                s(−f)
least squares     ½(r − 1)² + ½f²             ½(f − 1)²
hinge             max(0, 1−r) + max(0, 1+f)   −f
Wasserstein       f − r                       −f
relativistic      s(f − r)                    s(r − f)
================  ==========================  ==============

Hinge and Wasserstein need a discriminator whose slope is bounded: a penalty, a constraint or spectral normalisation.
The relativistic loss pairs each real with one generated example, and has no minimum where modes are dropped.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import relu, softplus

from genkit.component import Component


class AdversarialLoss(Component, ABC):
    """Losses of shape () from logits (B,).

    Attributes:
        pairs: Whether the generator's loss reads the real logits. Where not, they are not computed: it is given NaN.
    """

    pairs: ClassVar[bool] = True

    @abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Compute what the discriminator minimises."""

    @abstractmethod
    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Compute what the generator minimises."""


class NonSaturatingLoss(AdversarialLoss):
    """The first GAN's loss, with the generator's gradient that does not vanish.

    References: Generative Adversarial Networks (Goodfellow et al. 2014, 1406.2661).
    """

    pairs = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (softplus(-real_logits) + softplus(fake_logits)).mean()

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return softplus(-fake_logits).mean()


class LeastSquaresLoss(AdversarialLoss):
    """Logits are regressed on 1 for real and 0 for generated data: what lies far beyond the boundary is pulled too.

    References: Least Squares Generative Adversarial Networks (Mao et al. 2016, 1611.04076).
    """

    pairs = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return 0.5 * ((real_logits - 1).square() + fake_logits.square()).mean()

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return 0.5 * (fake_logits - 1).square().mean()


class HingeLoss(AdversarialLoss):
    """Only logits inside the margin teach the discriminator.

    References: Geometric GAN (Lim & Ye 2017, 1705.02894).
    """

    pairs = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (relu(1 - real_logits) + relu(1 + fake_logits)).mean()

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()


class WassersteinLoss(AdversarialLoss):
    """The dual of the earth mover's distance, over functions whose slope something else must bound by one.

    References: Wasserstein GAN (Arjovsky et al. 2017, 1701.07875).
    """

    pairs = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (fake_logits - real_logits).mean()

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()


class RelativisticLoss(AdversarialLoss):
    """Real and generated examples are judged against each other, in pairs.

    References: The relativistic discriminator (Jolicoeur-Martineau 2018, 1807.00734); Towards a Better Global Loss
    Landscape of GANs (Sun et al. 2020, 2011.04926).
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return softplus(fake_logits - real_logits).mean()

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return softplus(real_logits - fake_logits).mean()
