r"""DPM-Solver++: exponential integrators, which solve the linear part of the equation exactly.

With λ = log(alpha / sigma), h = λ_s − λ_t and an amount of noise η (0: the ordinary differential equation, 1: the
stochastic one), the exact solution for a constant posterior mean D̂ is

.. math:: x_s = \frac{\sigma_s}{\sigma_t} e^{-\eta h} x_t + \alpha_s (1 - e^{-(1 + \eta) h}) \hat D
          + \sigma_s \sqrt{1 - e^{-2 \eta h}}\, z,

and the multistep method of second order takes D̂ from a line through the last two means,

.. math:: \hat D = D_t + \frac{h}{2 h_{last}} (D_t - D_{last}).
"""

import torch
from torch import Tensor

from genkit.component import Probability
from genkit.diffusion.denoiser import Denoiser
from genkit.diffusion.sampler import Sampler, Steps
from genkit.diffusion.time_grid import Grid
from genkit.noise import Noise


class DPMSolverSampler(Sampler):
    """DPM-Solver++(2M) and its stochastic form: second order at one evaluation a step.

    References: DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models (Lu et al. 2022,
        2211.01095).

    Arguments:
        denoiser: D(x_t, t).
        steps: Number of steps, and of evaluations.
        grid: Where they end; None: equal steps of t.
        eta: η, the amount of noise; 1: SDE-DPM-Solver++(2M).
    """

    def __init__(
        self, *, denoiser: Denoiser, steps: Steps = 12, grid: Grid | None = None, eta: Probability = 0.0
    ) -> None:
        super().__init__(denoiser, steps, grid)
        self.eta = eta

    def begin(self, noise: Noise | None) -> None:
        super().begin(noise)
        self.last: tuple[Tensor, Tensor] | None = None  # the last mean, and the h of the step that it was used in

    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        h = (alpha_s / sigma_s).log() - (alpha_t / sigma_t).log()
        line = mean = self.mean(x_t, t)
        if self.last is not None:
            last_mean, last_h = self.last
            line = mean + h / (2 * last_h) * (mean - last_mean)
        self.last = (mean, h)
        x_s = sigma_s / sigma_t * torch.exp(-self.eta * h) * x_t - alpha_s * torch.expm1(-(1 + self.eta) * h) * line
        if self.eta == 0:
            return x_s
        return x_s + sigma_s * (-torch.expm1(-2 * self.eta * h)).sqrt() * self.fresh(x_t)
