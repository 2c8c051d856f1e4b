r"""Adversarial losses: what the discriminator and the generator each minimise, given logits of real and generated data.

With s(u) = softplus(u) = log(1 + e^u):

* non-saturating: D: s(−r) + s(f), G: s(−f) (Goodfellow et al. 2014, 1406.2661);
* relativistic: D: s(f − r), G: s(r − f), each real paired with one generated example: it has no minimum where modes are
  dropped (Jolicoeur-Martineau 2018, 1807.00734; Sun et al. 2020, 2011.04926).

And the zero-centred gradient penalty of both, which makes them converge (Mescheder et al. 2018, 1801.04406).
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import softplus

from genkit.component import Component


class AdversarialLoss(Component, ABC):
    """Losses of shape () from logits (B,)."""

    @abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """What the discriminator minimises."""

    @abstractmethod
    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """What the generator minimises."""


class NonSaturatingLoss(AdversarialLoss):
    """The first GAN's loss, with the generator's gradient that does not vanish."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (softplus(-real_logits) + softplus(fake_logits)).mean()

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return softplus(-fake_logits).mean()


class RelativisticLoss(AdversarialLoss):
    """Real and generated examples are judged against each other, in pairs."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return softplus(fake_logits - real_logits).mean()

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return softplus(real_logits - fake_logits).mean()


def gradient_penalty(logits: Tensor, x: Tensor) -> Tensor:
    """E ‖∇_x D(x)‖² of shape (): R1 on real x, R2 on generated x. x must require a gradient."""
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()
