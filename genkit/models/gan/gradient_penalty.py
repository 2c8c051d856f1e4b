r"""Bounds on the slope of a discriminator: penalties on its gradient, and a constraint on its weights.

.. math:: R_1 = E\|\nabla D(x)\|^2, \quad R_2 = E\|\nabla D(G(z))\|^2, \quad
          GP = E(\|\nabla D(u x + (1-u) G(z))\| - 1)^2

R1 and R2 are zero where the discriminator is flat on the data, so that a trained generator is left in peace: with
either of them the game converges near its solution (Mescheder et al. 2018). The penalty of WGAN-GP wants slope one
between real and generated data, as the optimal critic of the Wasserstein loss has.

A norm is a sum over the dimensions of the data, as it is scaled: data of another size wants another weight.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from genkit.batch_noise import uniform
from genkit.component import Component, NonNegativeFloat, PositiveFloat

GAMMA = 0.1  # of R1 and R2, which are meant to go together
TINY = 1e-12  # under the root of a squared norm, whose derivative at zero is infinite


@dataclass(frozen=True)
class Judged:
    """A batch that the discriminator has judged.

    Attributes:
        x, fake: Real and generated examples (B, *shape), both requiring a gradient.
        real_logits, fake_logits: Their logits (B,).
        judge: More examples (B, *shape) to logits (B,), under the same labels.
    """

    x: Tensor
    fake: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    judge: Callable[[Tensor], Tensor]


def squared_slope(logits: Tensor, x: Tensor) -> Tensor:
    """‖∇_x D(x)‖² per example, (B,), with a graph of its own. x (B, *shape) must require a gradient."""
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)


class DiscriminatorPenalty(Component, ABC):
    """A term of the discriminator's loss.

    Attributes:
        name: Of the term in the logs, where it stands without its weight.
        weight: What it is multiplied with in the loss.
    """

    name: ClassVar[str]
    weight: float

    @abstractmethod
    def __call__(self, judged: Judged) -> Tensor:
        """The penalty of shape (), without its weight."""


class R1(DiscriminatorPenalty):
    """γ/2 E‖∇D(x)‖² on real data.

    References: Which Training Methods for GANs do actually Converge? (Mescheder et al. 2018, 1801.04406).

    Arguments:
        gamma: γ.
    """

    name = "r1"

    def __init__(self, gamma: NonNegativeFloat = GAMMA) -> None:
        self.weight = gamma / 2

    def __call__(self, judged: Judged) -> Tensor:
        return squared_slope(judged.real_logits, judged.x).mean()


class R2(DiscriminatorPenalty):
    """γ/2 E‖∇D(G(z))‖² on generated data; with R1, the recipe of R3GAN.

    References: Mescheder et al. 2018, 1801.04406; Huang et al. 2024, 2501.05441.

    Arguments:
        gamma: γ.
    """

    name = "r2"

    def __init__(self, gamma: NonNegativeFloat = GAMMA) -> None:
        self.weight = gamma / 2

    def __call__(self, judged: Judged) -> Tensor:
        return squared_slope(judged.fake_logits, judged.fake).mean()


class GradientPenalty(DiscriminatorPenalty):
    """λ E(‖∇D(x̂)‖ − 1)², x̂ uniform on the line between a real and a generated example.

    References: Improved Training of Wasserstein GANs (Gulrajani et al. 2017, 1704.00028).

    Arguments:
        weight: λ.
    """

    name = "gradient_penalty"

    def __init__(self, weight: NonNegativeFloat = 10.0) -> None:
        self.weight = weight

    def __call__(self, judged: Judged) -> Tensor:
        x, fake = judged.x.detach(), judged.fake.detach()
        u = uniform(len(x), *[1] * (x.ndim - 1), device=x.device, dtype=x.dtype)
        between = torch.lerp(fake, x, u).requires_grad_()
        slope = (squared_slope(judged.judge(between), between) + TINY).sqrt()
        return (slope - 1).square().mean()


class Constraint(Component, ABC):
    """A set that the discriminator's weights are kept in: they are moved back into it before each use in training."""

    @abstractmethod
    def __call__(self, discriminator: nn.Module) -> None:
        """Moves the parameters into the set, in place."""


class WeightClipping(Constraint):
    """Every weight in [−c, c]: the first bound of the slope, and the crudest.

    References: Wasserstein GAN (Arjovsky et al. 2017, 1701.07875), who call it a clearly terrible way.

    Arguments:
        bound: c.
    """

    def __init__(self, bound: PositiveFloat = 0.01) -> None:
        self.bound = bound

    @torch.no_grad()
    def __call__(self, discriminator: nn.Module) -> None:
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.bound, self.bound)
