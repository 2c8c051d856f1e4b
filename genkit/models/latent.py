r"""Densities of latent vectors, fitted after the fact: what lets a plain autoencoder sample.

An autoencoder fixes no distribution of z. Fitting one to the latents of the training data turns its decoder into a
generative model (ex-post density estimation; Ghosh et al. 2019, 1903.12436): x = decode(z), z ~ Σ_k w_k N(μ_k, Σ_k).
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from genkit.component import Component, PositiveFloat, Range
from genkit.models.base import Noise


class GaussianMixture(nn.Module, Component):
    """Σ_k w_k N(μ_k, L_k L_kᵀ) over vectors; one component is a plain Gaussian.

    Before `fit` it is the standard normal.

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
        regularization: PositiveFloat = 1e-4,
    ) -> None:
        super().__init__()
        self.regularization = regularization
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, latent_dim))
        self.register_buffer("factors", torch.eye(latent_dim).repeat(components, 1, 1))

    def fit(self, z: Tensor) -> None:
        """Expectation maximisation on z (N, D), N ≥ 2, from a fixed start.

        Fewer components than asked for are used where there are fewer examples; the rest get weight 0.
        """
        from sklearn.mixture import GaussianMixture as Fit  # heavy: imported when needed

        components = min(len(self.weights), len(z) // 2)
        fit = Fit(components, reg_covar=self.regularization, init_params="k-means++", random_state=0)
        fit.fit(z.double().cpu().numpy())
        self.weights.zero_()
        self.weights[:components] = torch.as_tensor(fit.weights_)
        self.means[:components] = torch.as_tensor(fit.means_)
        self.factors[:components] = torch.linalg.cholesky(torch.as_tensor(fit.covariances_)).to(self.factors)

    def sample(self, noise: Noise) -> Tensor:
        """(n, D): one draw of noise chooses the component, another the place in it."""
        u = torch.special.ndtr(noise(1)[:, 0])
        k = torch.searchsorted(self.weights.cumsum(0), u).clamp(max=int(self.weights.nonzero()[-1]))
        eps = noise(self.means.shape[1])
        return self.means[k] + (self.factors[k] @ eps[:, :, None])[:, :, 0]
