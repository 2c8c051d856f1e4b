r"""Improved DDPM: a network that also predicts the variance of each step of the reverse chain.

The variance of the reverse step lies between that of the posterior, right for data without spread, and that of the
forward step, right for data of unit variance. A second output v of the network places it, value by value,

.. math:: \log \Sigma = w \log \beta_{t|s} + (1 - w) \log \tilde\beta_{t|s}, \qquad w = \mathrm{sigmoid}(v),

which the squared error of ε says nothing about (in the paper w = (v + 1) / 2, which a network far from trained lets
grow without end). So the variational bound is added, its gradient stopped at the mean,

.. math:: L = L_{simple} + \lambda \sum_t KL\big(q(x_s \mid x_t, x) \,\|\, N(\mathrm{sg}(\mu), \Sigma)\big),

the sum taken by its term at the one t that was drawn. Chains of few steps gain most, where the two bounds lie apart.

References: Improved Denoising Diffusion Probabilistic Models (Nichol & Dhariwal 2021, 2102.09672), section 3.1.

In this file: the denoiser, its objective. `AncestralSampler` and `VariationalBound` use the variance.
"""

from torch import Tensor

from genkit.component import NonNegativeFloat, PositiveInt
from genkit.diffusion.coupling import NoiseCoupling
from genkit.diffusion.denoiser import expand_to
from genkit.diffusion.likelihood import divergence
from genkit.diffusion.objective import Denoising
from genkit.diffusion.parametrisation import NetworkDenoiser, NoiseDenoiser
from genkit.diffusion.time_distribution import Times, UniformTimes
from genkit.diffusion.weighting import Weighting


class LearnedVarianceDenoiser(NoiseDenoiser):
    """F = (ε, v), on twice the channels: the noise, and where the variance of a step lies between its bounds.

    Arguments: as `NetworkDenoiser`, with a network of 2 C channels out.
    """

    outputs = 2

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return self.reverse(x_t, t, y)[0]

    def reverse(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        eps, v = self.output(x_t, t, y).chunk(2, dim=1)
        return self.mean_of(eps, x_t, t), v.sigmoid()


class HybridDenoising(Denoising):
    """The squared error of ε and λ times the bound of a chain of T steps, in nats for each value.

    Arguments:
        times: Distribution of t; None: uniform.
        weighting: Of the squared error; None: the plain error of the network's output.
        coupling: Of noise and examples; None: independent.
        steps: T, as many as sampling is to take.
        bound_weight: λ.
    """

    outputs = 2

    def __init__(
        self,
        times: Times | None = None,
        weighting: Weighting | None = None,
        coupling: NoiseCoupling | None = None,
        steps: PositiveInt = 250,
        bound_weight: NonNegativeFloat = 0.001,
    ) -> None:
        super().__init__(times or UniformTimes(), weighting, coupling)
        self.steps, self.bound_weight = steps, bound_weight

    def __call__(self, denoiser: NetworkDenoiser, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        x_t, t = self.noised(denoiser, x, y)
        mean, widening = denoiser.reverse(x_t, t, y)
        error = (mean - x).square()
        simple = self.weighted(denoiser, t, error)
        s = (t - 1 / self.steps).clamp(min=0)
        step = divergence(error.detach(), widening, expand_to(t, x), expand_to(s, x), denoiser.schedule)
        bound = self.steps * step.mean()
        return {"loss": simple + self.bound_weight * bound, "simple": simple, "bound": bound}
