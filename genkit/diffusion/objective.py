r"""Objectives of diffusion models.

.. math:: \min_D\; E_{x, \epsilon, t}\; w(t)\, \| D(\alpha_t x + \sigma_t \epsilon, t) - x \|^2

Times, weighting and coupling are parts; another objective over the same networks is another class.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from genkit.batch_noise import normal_like
from genkit.component import Component
from genkit.diffusion.coupling import IndependentCoupling, NoiseCoupling
from genkit.diffusion.denoiser import expand_to
from genkit.diffusion.parametrisation import NetworkDenoiser
from genkit.diffusion.time_distribution import LogNormalLevels, Times
from genkit.diffusion.weighting import OutputWeighting, Weighting
from genkit.errors import ConfigError


class DenoisingObjective(Component, ABC):
    """A loss of a network under a denoiser.

    Attributes:
        outputs: Values that it trains for each value of an example.
        differentiates: Whether it is made of derivatives of the network.
    """

    outputs = 1
    differentiates: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, denoiser: NetworkDenoiser, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """x (B, *shape) and labels y (B,) or None to "loss" and its named terms, each of shape ()."""

    def check(self, denoiser: NetworkDenoiser) -> None:
        """Raises ConfigError for a denoiser that it cannot train: one that predicts more or less than is trained."""
        if denoiser.outputs != self.outputs:
            raise ConfigError(
                f"model.objective: {type(self).__name__} does not train {type(denoiser).__name__}; "
                "LearnedVarianceDenoiser and HybridDenoising (model=iddpm) go together"
            )


class Denoising(DenoisingObjective):
    """w(t) ‖D(x_t, t, y) − x‖², the mean over an example's values.

    Arguments:
        times: Distribution of t; None: log-normal noise levels.
        weighting: w; None: the plain error of the network's output.
        coupling: Of noise and examples; None: independent.
    """

    def __init__(
        self, times: Times | None = None, weighting: Weighting | None = None, coupling: NoiseCoupling | None = None
    ) -> None:
        self.times, self.weighting = times or LogNormalLevels(), weighting or OutputWeighting()
        self.coupling = coupling or IndependentCoupling()

    def __call__(self, denoiser: NetworkDenoiser, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        x_t, t = self.noised(denoiser, x, y)
        return {"loss": self.weighted(denoiser, t, (denoiser(x_t, t, y) - x).square())}

    def noised(self, denoiser: NetworkDenoiser, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """x_t (B, *shape) and t (B,) of the examples x (B, *shape)."""
        t = self.times(len(x), denoiser.schedule, denoiser.data_std)
        eps = self.coupling(x, normal_like(x), y)
        alpha, sigma = (expand_to(value, x) for value in denoiser.schedule(t))
        return alpha * x + sigma * eps, t

    def weighted(self, denoiser: NetworkDenoiser, t: Tensor, error: Tensor) -> Tensor:
        """The weighted mean () of squared errors of D (B, *shape)."""
        return (self.weighting(denoiser, t) * error.flatten(1).mean(1)).mean()
