r"""Kernel density of latent vectors: a Gaussian on every one of M stored latents,

.. math:: p(z) = \frac1M \sum_i N(z; z_i, h^2 \Sigma), \qquad \Sigma = \text{covariance of the latents}.

The bandwidth h is a rule of M and the dimension D. Both rules minimise the error for a Gaussian truth asymptotically;
they widen the density by the factor 1 + h², and what is multimodal is smoothed too much.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genkit.component import Component, PositiveFloat, PositiveInt
from genkit.models.base import Noise
from genkit.models.latent_density import REGULARIZATION, LatentDensity, regularised_factor, uniform_draw


class Bandwidth(Component, ABC):
    """h, in units of the data's own standard deviation."""

    @abstractmethod
    def __call__(self, n: int, dim: int) -> float:
        """h for n points in `dim` dimensions."""


class Scott(Bandwidth):
    """h = n^(−1 / (D + 4)).

    References: Multivariate Density Estimation: Theory, Practice, and Visualization (Scott 1992).
    """

    def __call__(self, n: int, dim: int) -> float:
        return float(n ** (-1 / (dim + 4)))


class Silverman(Bandwidth):
    """h = (n (D + 2) / 4)^(−1 / (D + 4)).

    References: Density Estimation for Statistics and Data Analysis (Silverman 1986).
    """

    def __call__(self, n: int, dim: int) -> float:
        return float((n * (dim + 2) / 4) ** (-1 / (dim + 4)))


class FixedBandwidth(Bandwidth):
    """The h that is given.

    Arguments:
        width: h; towards 0 the samples become the decoded training data.
    """

    def __init__(self, width: PositiveFloat) -> None:
        self.width = width

    def __call__(self, n: int, dim: int) -> float:
        return self.width


class KernelDensity(LatentDensity):
    """(1/M) Σ_i N(z_i, h² Σ): one draw of noise chooses the point, another the place beside it.

    References: On Estimation of a Probability Density Function and Mode (Parzen 1962).

    Arguments:
        latent_dim: D.
        points: Largest number of latents that are stored; of more, evenly spaced ones are kept.
        bandwidth: None takes Scott's rule.
        regularization: Added to the diagonal of the covariance.
    """

    stored: Tensor
    count: Tensor
    factor: Tensor

    def __init__(
        self,
        *,
        latent_dim: int,
        points: PositiveInt = 1024,
        bandwidth: Bandwidth | None = None,
        regularization: PositiveFloat = REGULARIZATION,
    ) -> None:
        super().__init__()
        self.bandwidth = bandwidth or Scott()
        self.regularization = regularization
        self.register_buffer("stored", torch.zeros(points, latent_dim))
        self.register_buffer("count", torch.ones((), dtype=torch.int64))
        self.register_buffer("factor", torch.eye(latent_dim))

    def fit(self, z: Tensor) -> None:
        """Stores points evenly spread over the rows of z, and the factor of h² Σ of all rows."""
        n = min(len(self.stored), len(z))
        pick = torch.arange(n, device=z.device) * len(z) // n
        self.stored.zero_()
        self.stored[:n] = z[pick].to(self.stored)
        self.count.fill_(n)
        self.factor.copy_(self.bandwidth(n, z.shape[1]) * regularised_factor(z, self.regularization))

    def sample(self, noise: Noise) -> Tensor:
        i = (uniform_draw(noise) * self.count).long().clamp(max=self.count - 1)
        return self.stored[i] + noise(self.stored.shape[1]) @ self.factor.T
