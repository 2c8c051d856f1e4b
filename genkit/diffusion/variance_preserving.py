r"""Variance-preserving schedules, alpha_t² + sigma_t² = 1: data of unit variance keeps it at every noise level.

Both come from discrete chains of T = 1000 steps with noise β_k, alpha_t² = Π (1 − β_k), here in continuous time.
sigma_t² = 1 − alpha_t² is never computed as this difference, which would lose all digits at low noise.
"""

import math
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from genkit.component import PositiveFloat, Range
from genkit.diffusion.schedule import Schedule
from genkit.errors import ConfigError

TimeMargin = Annotated[float, Range(1e-6, 0.1)]
T_MIN = 0.001


class LinearSchedule(Schedule):
    r"""β rising linearly, the schedule of DDPM and of the VP SDE:

    .. math:: \log \alpha_t = -\tfrac14 u^2 (\beta_1 - \beta_0) - \tfrac12 u \beta_0, \; u = t_{min} + t (1 - t_{min})

    DDPM's β_k = 1e-4 … 0.02 in 1000 steps are β_0 = 0.1 and β_1 = 20 in units of time.

    References: Denoising Diffusion Probabilistic Models (Ho et al. 2020, 2006.11239); Song et al. 2020, 2011.13456.

    Arguments:
        beta_min, beta_max: β_0 and β_1.
        t_min: t in [0, 1] is mapped to [t_min, 1]: at u = 0 there would be no noise.
    """

    def __init__(
        self, beta_min: PositiveFloat = 0.1, beta_max: PositiveFloat = 20.0, t_min: TimeMargin = T_MIN
    ) -> None:
        if beta_min > beta_max:
            raise ConfigError(f"schedule.beta_min={beta_min:g} must not be above schedule.beta_max={beta_max:g}")
        self.low, self.rise, self.t_min = beta_min, beta_max - beta_min, t_min

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        u = self.t_min + t * (1 - self.t_min)
        log_alpha = -u * (u * self.rise / 4 + self.low / 2)
        return log_alpha.exp(), (-torch.expm1(2 * log_alpha)).sqrt()

    def inverse(self, log_snr: Tensor) -> Tensor:
        # −2 log alpha = softplus(−log_snr) = u² rise / 2 + u low, solved for u without cancellation
        decay = F.softplus(-log_snr)
        u = 2 * decay / (self.low + (self.low**2 + 2 * self.rise * decay).sqrt())
        return ((u - self.t_min) / (1 - self.t_min)).clamp(0, 1)


class CosineSchedule(Schedule):
    r"""Noise that rises slowly at both ends:

    .. math:: \alpha_t = \cos b / \cos a, \qquad a = \frac{s}{1 + s} \frac{\pi}{2}, \quad
              b = \frac{u + s}{1 + s} \frac{\pi}{2}, \quad u = t_{min} + t (1 - 2 t_{min})

    With sin(b + a) sin(b − a) = cos² a − cos² b, sigma needs no difference of near numbers.

    References: Improved Denoising Diffusion Probabilistic Models (Nichol & Dhariwal 2021, 2102.09672).

    Arguments:
        offset: s, which keeps the noise of the first steps from vanishing.
        t_min: t in [0, 1] is mapped to [t_min, 1 − t_min], where the log signal-to-noise ratio is finite (the paper
            clips β at 0.999 for that).
    """

    def __init__(self, offset: Annotated[float, Range(1e-6, 0.5)] = 0.008, t_min: TimeMargin = T_MIN) -> None:
        self.start, self.t_min = offset / (1 + offset) * math.pi / 2, t_min
        self.rate = math.pi / 2 - self.start  # radians per unit of u

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        u = self.t_min + t * (1 - 2 * self.t_min)
        alpha = torch.sin((1 - u) * self.rate) / math.cos(self.start)  # cos b, exact where b is near π/2
        rise = u * self.rate
        return alpha, (torch.sin(rise + 2 * self.start) * torch.sin(rise)).sqrt() / math.cos(self.start)

    def inverse(self, log_snr: Tensor) -> Tensor:
        alpha, sigma = torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr).sqrt()
        sine = torch.hypot(sigma * math.cos(self.start), torch.full_like(sigma, math.sin(self.start)))
        u = (torch.atan2(sine, alpha * math.cos(self.start)) - self.start) / self.rate
        return ((u - self.t_min) / (1 - 2 * self.t_min)).clamp(0, 1)
