r"""Noise schedules: how much signal and noise a noisy example x_t contains at time t in [0, 1].

.. math:: x_t = \alpha_t x + \sigma_t \epsilon, \quad \epsilon \sim N(0, I), \qquad
          \log \mathrm{snr}_t = 2 \log(\alpha_t / \sigma_t)

falling strictly from t = 0 (almost clean) to t = 1 (almost noise). Every schedule can be inverted, log_snr to t, so
that a training distribution over noise levels and a sampler's grid are chosen independently of it. A grid that is
uniform in t is the schedule's own spacing of sampling steps.

Up to scale, x_t is x̄ = x_t / alpha_t, the example with noise of the level σ̄ = sigma_t / alpha_t: schedules differ in
which levels stand where, and in nothing else. Those that keep alpha² + sigma² = 1 are in `variance_preserving.py`.
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import Component, PositiveFloat, Range
from genkit.errors import ConfigError

RHO = 7.0  # of noise levels that are spaced evenly as sigma^(1/rho) (Karras et al. 2022)


class Schedule(Component, ABC):
    """t in [0, 1] to (alpha_t, sigma_t), both of t's shape."""

    @abstractmethod
    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha_t and sigma_t."""

    @abstractmethod
    def inverse(self, log_snr: Tensor) -> Tensor:
        """The t at which the schedule has this log signal-to-noise ratio, clipped into [0, 1]."""

    def level(self, t: Tensor) -> Tensor:
        """σ̄ = sigma_t / alpha_t."""
        alpha, sigma = self(t)
        return sigma / alpha

    def time(self, level: Tensor) -> Tensor:
        """The t at which sigma_t / alpha_t is `level`, clipped into [0, 1]."""
        return self.inverse(-2 * level.log())


class KarrasSchedule(Schedule):
    r"""Variance exploding: alpha_t = 1 and

    .. math:: \sigma_t = (\sigma_{min}^{1/\rho} + t (\sigma_{max}^{1/\rho} - \sigma_{min}^{1/\rho}))^\rho

    References: Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al. 2022, 2206.00364).

    Arguments:
        sigma_min, sigma_max: Noise at t = 0 and t = 1, in data units.
        rho: Larger values spend more sampling steps at low noise.
    """

    def __init__(
        self,
        sigma_min: PositiveFloat = 0.002,
        sigma_max: PositiveFloat = 80.0,
        rho: Annotated[float, Range(1.0, 100.0)] = RHO,
    ) -> None:
        if sigma_min >= sigma_max:
            raise ConfigError(f"schedule.sigma_min={sigma_min:g} must be below schedule.sigma_max={sigma_max:g}")
        self.low, self.high, self.rho = sigma_min ** (1 / rho), sigma_max ** (1 / rho), rho

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), (self.low + t * (self.high - self.low)) ** self.rho

    def inverse(self, log_snr: Tensor) -> Tensor:
        sigma = torch.exp(-log_snr / 2)
        return ((sigma ** (1 / self.rho) - self.low) / (self.high - self.low)).clamp(0, 1)


class VESchedule(Schedule):
    r"""Variance exploding, geometric: alpha_t = 1 and

    .. math:: \sigma_t = \sigma_{min} (\sigma_{max} / \sigma_{min})^t

    References: Score-Based Generative Modeling through SDEs (Song et al. 2020, 2011.13456), the VE SDE.

    Arguments:
        sigma_min, sigma_max: Noise at t = 0 and t = 1, in data units.
    """

    def __init__(self, sigma_min: PositiveFloat = 0.01, sigma_max: PositiveFloat = 50.0) -> None:
        if sigma_min >= sigma_max:
            raise ConfigError(f"schedule.sigma_min={sigma_min:g} must be below schedule.sigma_max={sigma_max:g}")
        self.low, self.range = math.log(sigma_min), math.log(sigma_max / sigma_min)

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), torch.exp(self.low + t * self.range)

    def inverse(self, log_snr: Tensor) -> Tensor:
        return ((-log_snr / 2 - self.low) / self.range).clamp(0, 1)


class RectifiedSchedule(Schedule):
    """The straight path of flow matching: alpha_t = 1 − t, sigma_t = t, with t kept off both ends.

    References: Flow Straight and Fast (Liu et al. 2022, 2209.03003); Flow Matching (Lipman et al. 2022, 2210.02747).

    Arguments:
        t_min: t in [0, 1] is mapped to [t_min, 1 − t_min], where the log signal-to-noise ratio is finite.
    """

    def __init__(self, t_min: Annotated[float, Range(1e-6, 0.1)] = 0.001) -> None:
        self.t_min = t_min

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        sigma = self.t_min + t * (1 - 2 * self.t_min)
        return 1 - sigma, sigma

    def inverse(self, log_snr: Tensor) -> Tensor:
        return ((torch.sigmoid(-log_snr / 2) - self.t_min) / (1 - 2 * self.t_min)).clamp(0, 1)
