r"""Densities of latent vectors, fitted after training, from which a plain autoencoder samples.

An autoencoder fixes no distribution of z. Fitting one to the latents of the training data turns its decoder into a
generative model (ex-post density estimation; Ghosh et al. 2019, 1903.12436): x = decode(z), z ~ p, with p one of

* a GaussianDensity N(μ, Σ),
* a mixture Σ_k w_k N(μ_k, Σ_k),
* a kernel density (`genkit/models/kernel_density.py`).
"""

import warnings
from abc import ABC, abstractmethod
from typing import Annotated, Protocol

import torch
from torch import Tensor, nn

from genkit.component import Component, PositiveFloat, Range
from genkit.distributions import draw_by_shares
from genkit.models.base import Noise

REGULARIZATION = 1e-4  # added to the diagonal of covariances
MOST_ITERATIONS = 100  # of expectation maximisation, which stops earlier where it converges
WORK = 3e11  # products that a fit may take: N K D² in an iteration, about a minute in all on one core


class LatentDensity(nn.Module, Component, ABC):
    """A distribution over vectors whose parameters are buffers of fixed shape; the standard normal before `fit`."""

    @abstractmethod
    def fit(self, z: Tensor) -> None:
        """Replaces the buffers by what the latents z (N, D), N ≥ 2, say; a function of z alone."""

    @abstractmethod
    def sample(self, noise: Noise) -> Tensor:
        """(n, D): row i is a function of row i of the noise."""


class LatentDensityFactory(Protocol):
    """The type of a model's `latent_density` argument, finished with the size of the latent."""

    def __call__(self, *, latent_dim: int) -> LatentDensity: ...


def uniform_draw(noise: Noise) -> Tensor:
    """(n,) uniform in [0, 1]: one normal draw through its distribution function."""
    return torch.special.ndtr(noise(1)[:, 0])


def regularised_factor(z: Tensor, regularization: float) -> Tensor:
    """L with L Lᵀ = cov(z) + regularization · I for z (N, D), in float64; the covariance divides by N."""
    z = z.double()
    centred = z - z.mean(0)
    covariance = centred.T @ centred / len(z)
    return torch.linalg.cholesky(covariance + regularization * torch.eye(z.shape[1], device=z.device).double())


class GaussianDensity(LatentDensity):
    """N(μ, L Lᵀ) by maximum likelihood.

    Arguments:
        latent_dim: D.
        regularization: Added to the diagonal of the covariance.
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, *, latent_dim: int, regularization: PositiveFloat = REGULARIZATION) -> None:
        super().__init__()
        self.regularization = regularization
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("factor", torch.eye(latent_dim))

    def fit(self, z: Tensor) -> None:
        self.mean.copy_(z.double().mean(0))
        self.factor.copy_(regularised_factor(z, self.regularization))

    def sample(self, noise: Noise) -> Tensor:
        return self.mean + noise(len(self.mean)) @ self.factor.T


def affordable_iterations(n: int, dim: int, components: int) -> int:
    """Iterations of expectation maximisation of n vectors of `dim` numbers that `WORK` allows, at least one."""
    return max(1, min(MOST_ITERATIONS, int(WORK / (n * components * dim**2))))


class GaussianMixture(LatentDensity):
    """Σ_k w_k N(μ_k, L_k L_kᵀ).

    Arguments:
        latent_dim: D.
        components: K.
        regularization: Added to the diagonal of each covariance.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(
        self,
        *,
        latent_dim: int,
        components: Annotated[int, Range(1, 1000)] = 10,
        regularization: PositiveFloat = REGULARIZATION,
    ) -> None:
        super().__init__()
        self.regularization = regularization
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, latent_dim))
        self.register_buffer("factors", torch.eye(latent_dim).repeat(components, 1, 1))

    def fit(self, z: Tensor) -> None:
        """Expectation maximisation from a fixed start.

        Components with fewer than D + 1 latents each would learn them by heart: as many are used as have that many,
        and the rest get weight 0. Where they are so many and so wide that a hundred iterations would take hours, it
        starts from the clusters of k-means, which are most of the way, and makes fewer.
        """
        from sklearn.exceptions import ConvergenceWarning  # heavy: imported when needed
        from sklearn.mixture import GaussianMixture as Fit

        n, dim = z.shape
        components = max(1, min(len(self.weights), n // (dim + 1)))
        iterations = affordable_iterations(n, dim, components)
        start = "k-means++" if iterations == MOST_ITERATIONS else "kmeans"
        fit = Fit(components, reg_covar=self.regularization, init_params=start, max_iter=iterations, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it ends where it was told to
            fit.fit(z.double().cpu().numpy())
        self.weights.zero_()
        self.weights[:components] = torch.as_tensor(fit.weights_)
        self.means[:components] = torch.as_tensor(fit.means_)
        self.factors[:components] = torch.linalg.cholesky(torch.as_tensor(fit.covariances_)).to(self.factors)

    def sample(self, noise: Noise) -> Tensor:
        """(n, D): one draw of noise chooses the component, another the place in it."""
        u = uniform_draw(noise)
        k = draw_by_shares(self.weights.expand(len(u), -1), u)
        eps = noise(self.means.shape[1])
        return self.means[k] + (self.factors[k] @ eps[:, :, None])[:, :, 0]
