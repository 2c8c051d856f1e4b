r"""Clusters of the data that stand for labels where there are none.

.. math:: k(x) = \arg\min_k \|x - \mu_k\|, \qquad p(x) = \sum_k w_k\, p(x \mid k).

A small network that is told the cluster of an example has a simpler distribution to learn than that of all data, and
between two clusters it draws nothing. The centres μ are fitted to the first batch and stay where they are, so that a
cluster means the same throughout a training; the shares w are counted among training examples before sampling.

References: Self-Guided Diffusion Models (Hu et al. 2022, 2210.06462).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genkit.errors import ConfigError
from genkit.models.latent_density import uniform_draw
from genkit.noise import Noise


class Clusters(nn.Module):
    """K centres and the shares of the data that lie nearest to each; K equal shares before `count`.

    Arguments:
        clusters: K.
        dim: D, the values of one example.

    Raises:
        ConfigError: a batch to be fitted to has fewer than K examples.
    """

    centres: Tensor
    shares: Tensor

    def __init__(self, clusters: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(clusters, dim))
        self.register_buffer("shares", torch.full((clusters,), 1 / clusters))

    def fit(self, x: Tensor) -> None:
        """Put the centres where k-means has them in x (B, *shape), a function of x alone."""
        from sklearn.cluster import KMeans  # heavy: imported when needed

        if len(x) < len(self.shares):
            raise ConfigError(
                f"model.clusters={len(self.shares)}: they are fitted to the first batch, which has {len(x):,} "
                "examples: give fewer clusters or a larger data.batch_size"
            )
        fit = KMeans(len(self.shares), n_init=4, random_state=0).fit(x.flatten(1).double().cpu().numpy())
        self.centres.copy_(torch.as_tensor(fit.cluster_centers_))

    def of(self, x: Tensor) -> Tensor:
        """The cluster (B,) int64 of each example x (B, *shape)."""
        return torch.cdist(x.flatten(1), self.centres.to(x.dtype)).argmin(1)

    def count(self, batches: Iterable[Tensor]) -> None:
        """Replace the shares by those among examples x (B, *shape)."""
        counts = torch.stack([torch.bincount(self.of(x), minlength=len(self.shares)) for x in batches]).sum(0)
        self.shares.copy_(counts / counts.sum())

    def draw(self, noise: Noise) -> Tensor:
        """Clusters (n,) int64 in their shares, each by its row of the noise."""
        last = int(self.shares.nonzero()[-1])
        return torch.searchsorted(self.shares.cumsum(0), uniform_draw(noise)).clamp(max=last)
