r"""Distributions of the time, or noise level, in training: most mass where there is something to learn.

A distribution of t and a weighting of the loss act alike in expectation (their product counts); they differ in the
variance of the gradient.
"""

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from torch import Tensor

from genkit.batch_noise import normal, stratified, uniform
from genkit.component import Component, Range
from genkit.diffusion.schedule import Schedule

Location = Annotated[float, Range(-20.0, 20.0)]
Scale = Annotated[float, Range(0.01, 20.0)]


class Times(Component, ABC):
    """A distribution of training times."""

    @abstractmethod
    def __call__(self, n: int, schedule: Schedule, data_std: Tensor) -> Tensor:
        """(n,) times in [0, 1], drawn by `genkit.batch_noise`, on the device of `data_std` ()."""


class LogNormalLevels(Times):
    """ln(σ / σ_data) is normal: the levels between indistinguishable noise and invisible noise.

    References: Karras et al. 2022, 2206.00364, whose mean of −1.2 at σ_data = 0.5 is −0.5 here.

    Arguments:
        mean, std: Of ln(σ / σ_data).
    """

    def __init__(self, mean: Location = -0.5, std: Scale = 1.2) -> None:
        self.mean, self.std = mean, std

    def __call__(self, n: int, schedule: Schedule, data_std: Tensor) -> Tensor:
        log_sigma = data_std.log() + self.mean + self.std * normal(n, device=data_std.device)
        return schedule.inverse(-2 * log_sigma)


class UniformTimes(Times):
    """t uniform in [0, 1].

    References: Ho et al. 2020, 2006.11239; stratified: Variational Diffusion Models (Kingma et al. 2021, 2107.00630).

    Arguments:
        stratified: One draw in each n-th of the interval, which lowers the variance of the loss.
    """

    def __init__(self, stratified: bool = False) -> None:
        self.stratified = stratified

    def __call__(self, n: int, schedule: Schedule, data_std: Tensor) -> Tensor:
        return (stratified if self.stratified else uniform)(n, device=data_std.device)


class LogitNormalTimes(Times):
    """logit(t) is normal: the middle of the straight path, where its velocity is hardest to tell.

    References: Scaling Rectified Flow Transformers (Esser et al. 2024, 2403.03206).

    Arguments:
        mean, std: Of logit(t).
    """

    def __init__(self, mean: Location = 0.0, std: Scale = 1.0) -> None:
        self.mean, self.std = mean, std

    def __call__(self, n: int, schedule: Schedule, data_std: Tensor) -> Tensor:
        return torch.sigmoid(self.mean + self.std * normal(n, device=data_std.device))
