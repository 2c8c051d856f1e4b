r"""Guidance: denoisers made of denoisers, so that every sampler can use them.

Classifier-free guidance moves away from what the model would do without the label,

.. math:: D_w(x_t) = D_0(x_t) + w\,(D(x_t, y) - D_0(x_t)),

with w = 1 the conditional model itself and w > 1 more typical, less diverse samples.
"""

from torch import Tensor

from genkit.diffusion.denoiser import Denoiser


class ClassifierFreeGuidance(Denoiser):
    """D_0 + scale · (D − D_0).

    References: Classifier-Free Diffusion Guidance (Ho & Salimans 2022, 2207.12598).

    Arguments:
        positive: D, the denoiser to move towards.
        negative: D_0, the one to move away from.
        scale: w.
    """

    def __init__(self, positive: Denoiser, negative: Denoiser, scale: float) -> None:
        super().__init__()
        self.positive, self.negative, self.scale = positive, negative, scale
        self.schedule = positive.schedule

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        base = self.negative(x_t, t, y)
        return base + self.scale * (self.positive(x_t, t, y) - base)
