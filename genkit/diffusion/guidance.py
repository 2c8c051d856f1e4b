r"""Guidance: denoisers made of denoisers, so that every sampler can use them.

All of it moves away from a worse answer along the line to a better one,

.. math:: D_w(x_t) = D_0(x_t) + w\,(D(x_t) - D_0(x_t)),

with w = 1 the better one itself and w > 1 more typical, less diverse samples. Classifier-free guidance takes for D_0
the same network without the label, autoguidance a weaker network with the same label. Where noise is so high that all
is still open, or so low that all is decided, guidance costs diversity or evaluations and brings nothing; it can be kept
to an interval of noise levels, outside of which D_0 is not asked.
"""

import torch
from torch import Tensor

from genkit.diffusion.denoiser import Denoiser, Rescheduled, expand_to

EVERYWHERE = (0.0, 1e6)


class ClassifierFreeGuidance(Denoiser):
    """D_0 + scale · (D − D_0) inside an interval of noise levels, D outside.

    References: Classifier-Free Diffusion Guidance (Ho & Salimans 2022, 2207.12598); Applying Guidance in a Limited
        Interval Improves Sample and Distribution Quality (Kynkäänniemi et al. 2024, 2404.07724).

    Arguments:
        positive: D, the denoiser to move towards.
        negative: D_0, the one to move away from.
        scale: w.
        interval: Least and greatest σ = sigma_t / alpha_t at which to guide.
    """

    def __init__(
        self, positive: Denoiser, negative: Denoiser, scale: float, interval: tuple[float, float] = EVERYWHERE
    ) -> None:
        super().__init__()
        self.positive, self.negative, self.scale, self.interval = positive, negative, scale, interval
        self.schedule = positive.schedule

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return self._away(self.positive(x_t, t, y), x_t, t, y)

    def reverse(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        towards, widening = self.positive.reverse(x_t, t, y)
        return self._away(towards, x_t, t, y), widening

    def _away(self, towards: Tensor, x_t: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        """D (B, *shape) after guidance away from D_0."""
        level = self.schedule.level(t)
        inside = (self.interval[0] <= level) & (level <= self.interval[1])
        if not inside.any():
            return towards
        base = self.negative(x_t, t, y)
        guided = base + self.scale * (towards - base)
        return guided if inside.all() else torch.where(expand_to(inside, x_t), guided, towards)


class Autoguidance(ClassifierFreeGuidance):
    """Away from a weaker model of the same data: smaller, or trained for less long; needs no labels.

    References: Guiding a Diffusion Model with a Bad Version of Itself (Karras et al. 2024, 2406.02507).

    Arguments:
        denoiser: D.
        weak: D_0, on any schedule.
        scale: w.
        interval: Least and greatest noise level at which to guide.
    """

    def __init__(
        self, denoiser: Denoiser, weak: Denoiser, scale: float, interval: tuple[float, float] = EVERYWHERE
    ) -> None:
        super().__init__(denoiser, Rescheduled(weak, denoiser.schedule), scale, interval)
