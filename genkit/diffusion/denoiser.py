r"""Denoisers: the posterior mean of the clean example given a noisy one,

.. math:: D(x_t, t) = E[x \mid x_t], \qquad x_t = \alpha_t x + \sigma_t \epsilon.

Everything that a diffusion model learns is this function; ε-, v-, x0-prediction and EDM are ways to write a network's
output as it. Samplers and guidance see nothing but a `Denoiser`.

In this file: the contract, EDM's preconditioned network, the exact denoiser of a Gaussian mixture (ground truth), and
the denoiser with its labels fixed.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from genkit.diffusion.schedule import Schedule
from genkit.nn.backbone import Backbone


def expand_to(value: Tensor, x: Tensor) -> Tensor:
    """(B,) to (B, 1, …, 1), to stand beside x (B, *shape)."""
    return value.reshape(-1, *[1] * (x.ndim - 1))


class Denoiser(nn.Module, ABC):
    """D(x_t, t, y) for noise added by `schedule`."""

    schedule: Schedule

    @abstractmethod
    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """x_t (B, *shape), t (B,), y (B,) int64 to E[x | x_t] (B, *shape)."""


class EDMDenoiser(Denoiser):
    r"""A network with inputs and outputs of unit variance at every noise level.

    With σ = sigma_t / alpha_t and x̄ = x_t / alpha_t,

    .. math:: D = c_{skip}\, \bar x + c_{out} F(c_{in} \bar x, \tfrac14 \ln \sigma)

    where c_skip = σ_d² / (σ² + σ_d²), c_out = σ σ_d / √(σ² + σ_d²), c_in = 1 / √(σ² + σ_d²).

    References: Karras et al. 2022, 2206.00364, section 5.

    Arguments:
        backbone: F, with time.
        schedule: How noise was added.
        data_std: σ_d, a tensor of shape () that may be measured later (in place).
    """

    data_std: Tensor

    def __init__(self, backbone: Backbone, schedule: Schedule, data_std: Tensor) -> None:
        super().__init__()
        self.backbone = backbone
        self.schedule = schedule
        self.register_buffer("data_std", data_std)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        alpha, sigma = (expand_to(value, x_t) for value in self.schedule(t))
        x, sigma = x_t / alpha, sigma / alpha
        total = (sigma**2 + self.data_std**2).sqrt()
        f = self.backbone(x / total, sigma.flatten().log() / 4, y)
        return x * (self.data_std / total) ** 2 + f * (sigma * self.data_std / total)

    def weight(self, t: Tensor) -> Tensor:
        """(B,) to (B,): 1 / c_out², under which the error of F counts the same at every noise level."""
        alpha, sigma = self.schedule(t)
        sigma = sigma / alpha
        return (sigma**2 + self.data_std**2) / (sigma * self.data_std) ** 2


class MixtureDenoiser(Denoiser):
    r"""The exact denoiser of a mixture of isotropic Gaussians Σ w_k N(μ_k, s_k² I).

    .. math:: D(x_t) = \sum_k p(k \mid x_t)
        \Big(\mu_k + \frac{\alpha s_k^2}{\alpha^2 s_k^2 + \sigma^2} (x_t - \alpha \mu_k)\Big)

    Arguments:
        means: μ (K, D).
        stds: s (K,).
        weights: w (K,), summing to 1.
        schedule: How noise was added.
    """

    def __init__(self, means: Tensor, stds: Tensor, weights: Tensor, schedule: Schedule) -> None:
        super().__init__()
        self.means, self.stds, self.log_weights, self.schedule = means, stds, weights.log(), schedule

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        alpha, sigma = (value[:, None] for value in self.schedule(t))  # (B, 1)
        variance = (alpha * self.stds) ** 2 + sigma**2  # (B, K)
        residual = x_t[:, None] - alpha[..., None] * self.means  # (B, K, D)
        log_p = self.log_weights - residual.square().sum(-1) / (2 * variance) - x_t.shape[1] / 2 * variance.log()
        posterior = self.means + (alpha * self.stds**2 / variance)[..., None] * residual
        return (log_p.softmax(dim=1)[..., None] * posterior).sum(1)


class Labelled(Denoiser):
    """A denoiser with its labels fixed, so that a sampler need not know of them.

    Arguments:
        denoiser: The conditional denoiser.
        y: Labels (B,) int64, or None for an unconditional one.
    """

    def __init__(self, denoiser: Denoiser, y: Tensor | None) -> None:
        super().__init__()
        self.denoiser, self.schedule, self.y = denoiser, denoiser.schedule, y

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return self.denoiser(x_t, t, self.y)


def unlabelled(denoiser: Denoiser, num_classes: int, n: int, device: torch.device) -> Labelled:
    """The denoiser asked without a label: the index after the last class."""
    return Labelled(denoiser, torch.full((n,), num_classes, device=device))
