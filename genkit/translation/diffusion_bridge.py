r"""Dual diffusion implicit bridges: to noise by one model, back to data by another (Su et al. 2022, 2203.08382).

The probability-flow equation

.. math:: \frac{d \bar x}{d \sigma} = \frac{\bar x - D(\bar x, \sigma)}{\sigma}

is solved with the source's denoiser from the least noise to the highest, which gives the example's own noise, and with
the target's back down. Both are one-to-one and end in the same normal, so the whole is a map of one distribution to
the other which needs no pairs, and the way back is the same with the two exchanged. Between
Gaussians N(μ_A, s_A² I) and N(μ_B, s_B² I) it is known in closed form,

.. math:: \bar x_{\sigma'} = \mu + (\bar x_\sigma - \mu) \sqrt{\frac{s^2 + \sigma'^2}{s^2 + \sigma^2}}.

One conditional model is two: that of the source's label and that of the target's.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import PositiveFloat, Range
from genkit.diffusion.denoiser import Denoiser
from genkit.diffusion.schedule import RHO
from genkit.noise import Noise
from genkit.translation.translator import Bridge

Mean = Callable[[Tensor, Tensor], Tensor]  # x̄ (B, *shape) and a level () to E[x | x̄]


class DiffusionBridge(Bridge):
    """Heun's method on noise levels that are evenly spaced as σ^(1/7), up and down again.

    References: Dual Diffusion Implicit Bridges for Image-to-Image Translation (Su et al. 2022, 2203.08382).

    Arguments:
        denoiser: Of the target domain.
        source: Of the source domain, on any schedule.
        steps: Each way; 2 · steps evaluations of each network.
        lowest: Noise level at which an example is taken as it is, no less than the schedules' own.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        source: Denoiser,
        steps: Annotated[int, Range(1, 100_000)] = 40,
        lowest: PositiveFloat = 0.01,
    ) -> None:
        self.denoiser, self.source, self.steps, self.lowest = denoiser, source, steps, lowest

    @property
    def words(self) -> str:
        return "through noise and back"

    def __call__(self, x: Tensor, noise: Noise) -> Tensor:
        levels = self.levels()
        noisy = carried(_mean_of(self.source), x, levels)
        return carried(_mean_of(self.denoiser), noisy, levels.flip(0))

    def levels(self) -> Tensor:
        """(steps + 1,) rising noise levels that both schedules have, float64."""
        ends = [
            each.schedule.level(torch.tensor([0.0, 1.0], dtype=torch.float64)) for each in (self.denoiser, self.source)
        ]
        low = max(self.lowest, *(float(end[0]) for end in ends)) ** (1 / RHO)
        high = min(float(end[1]) for end in ends) ** (1 / RHO)
        return torch.linspace(low, high, self.steps + 1, dtype=torch.float64) ** RHO


def carried(mean: Mean, x: Tensor, levels: Tensor) -> Tensor:
    """x̄ (B, *shape) along the probability-flow equation from the first of the levels (N,) to the last, by Heun."""
    for level, other in pairwise(levels.to(x)):
        first = (x - mean(x, level)) / level
        ahead = x + (other - level) * first
        second = (ahead - mean(ahead, other)) / other
        x = x + (other - level) * (first + second) / 2
    return x


def _mean_of(denoiser: Denoiser) -> Mean:
    """The posterior mean as a function of x̄ and its noise level."""

    def mean(x: Tensor, level: Tensor) -> Tensor:
        t = denoiser.schedule.time(level.double())
        alpha, _ = denoiser.schedule(t)
        return denoiser(x * alpha.to(x), t.to(x).expand(len(x)))

    return mean
