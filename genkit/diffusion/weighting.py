r"""Weights of the loss over noise levels, w(t) in w(t) ‖D(x_t, t) − x‖².

Every choice has the same minimum, the exact denoiser; they differ in what a network of finite size gives up first.
"""

from abc import ABC, abstractmethod

from torch import Tensor

from genkit.component import Component, PositiveFloat
from genkit.diffusion.parametrisation import NetworkDenoiser


class Weighting(Component, ABC):
    """w(t)."""

    @abstractmethod
    def __call__(self, denoiser: NetworkDenoiser, t: Tensor) -> Tensor:
        """(B,) weights of the squared error of D at the times t (B,)."""


class OutputWeighting(Weighting):
    """1 / c_out²: the plain squared error of what the network predicts (DDPM's simple loss, flow matching, EDM)."""

    def __call__(self, denoiser: NetworkDenoiser, t: Tensor) -> Tensor:
        return denoiser.weight(t)


class EDMWeighting(Weighting):
    """(σ² + σ_d²) / (σ σ_d)², EDM's, for any parametrisation.

    References: Karras et al. 2022, 2206.00364.
    """

    def __call__(self, denoiser: NetworkDenoiser, t: Tensor) -> Tensor:
        level = denoiser.schedule.level(t)
        return level**-2 + denoiser.data_std**-2


class MinSNRWeighting(Weighting):
    """min(snr, γ), snr = alpha² / sigma²: levels of little noise do not outvote the others.

    References: Efficient Diffusion Training via Min-SNR Weighting Strategy (Hang et al. 2023, 2303.09556).

    Arguments:
        gamma: γ.
    """

    def __init__(self, gamma: PositiveFloat = 5.0) -> None:
        self.gamma = gamma

    def __call__(self, denoiser: NetworkDenoiser, t: Tensor) -> Tensor:
        return (denoiser.schedule.level(t) ** -2).clamp(max=self.gamma)


class DataWeighting(Weighting):
    """1: the squared error of the clean example at every level."""

    def __call__(self, denoiser: NetworkDenoiser, t: Tensor) -> Tensor:
        return t.new_ones(t.shape)


class VelocityWeighting(Weighting):
    """1 / sigma² where alpha = 1 − sigma: the squared error of ε − x, whatever the network predicts.

    References: Back to Basics: Let Denoising Generative Models Denoise (Li & He 2025, 2511.13720).

    Arguments:
        least: Lower bound of sigma, below which a network that predicts x would be paid for its rounding.
    """

    def __init__(self, least: PositiveFloat = 0.05) -> None:
        self.least = least

    def __call__(self, denoiser: NetworkDenoiser, t: Tensor) -> Tensor:
        _, sigma = denoiser.schedule(t)
        return sigma.clamp(min=self.least) ** -2
