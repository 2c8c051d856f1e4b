r"""Clusters of the data that stand for labels where there are none, and divide each label where there are.

.. math:: k(x) = \arg\min_k \|x - \mu_k\|, \qquad p(x) = \sum_k w_k\, p(x \mid k), \qquad
    p(x \mid y) = \sum_k w_{yk}\, p(x \mid y, k).

A small network that is told the cluster of an example has a simpler distribution to learn than that of all data, and
between two clusters it draws nothing. The centres μ are fitted to the first batch and stay where they are, so that a
cluster means the same throughout a training; the shares w are counted among training examples before sampling.

With labels every label has K clusters of its own, y K + k, and one number more, L K + y, which tells the label alone:
what is asked about a label, as a likelihood is, knows no cluster.

References: Self-Guided Diffusion Models (Hu et al. 2022, 2210.06462).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genkit.distributions import draw_by_shares
from genkit.errors import ConfigError
from genkit.models.latent_density import uniform_draw
from genkit.noise import Noise


class Clusters(nn.Module):
    """K centres and the shares of the data that lie nearest to each, of every label where there are labels.

    The shares are equal before `count`.

    Arguments:
        clusters: K.
        dim: D, the values of one example.
        num_classes: L, None without labels.

    Attributes:
        groups: Numbers that a network is told: K, or L K + L.

    Raises:
        ConfigError: without labels, a batch to be fitted to has fewer than K examples.
    """

    centres: Tensor
    shares: Tensor

    def __init__(self, clusters: int, dim: int, num_classes: int | None = None) -> None:
        super().__init__()
        self.each, self.num_classes = clusters, num_classes
        count = clusters * (num_classes or 1)
        self.groups = count + (num_classes or 0)
        self.register_buffer("centres", torch.zeros(count, dim))
        self.register_buffer("shares", torch.full((count,), 1 / clusters))

    def fit(self, x: Tensor, y: Tensor | None = None) -> None:
        """Put the centres where k-means has them in x (B, *shape) with labels y (B,), a function of these alone.

        A label of fewer than K examples has as many clusters as examples, or one.
        """
        if self.num_classes is None:
            if len(x) < self.each:
                raise ConfigError(
                    f"model.clusters={self.each}: they are fitted to the first batch, which has {len(x):,} "
                    "examples: give fewer clusters or a larger data.batch_size"
                )
            self.centres.copy_(k_means(x, self.each))
            return
        assert y is not None
        for label, centres in enumerate(self.centres.split(self.each)):
            own = x[y == label]
            if k := min(self.each, len(own)):
                centres[:k] = k_means(own, k)
                centres[k:] = centres[0]  # of equally near ones the first is taken

    def of(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The cluster (B,) int64 of each example x (B, *shape), of those of its label y (B,)."""
        distances = torch.cdist(x.flatten(1), self.centres.to(x.dtype))
        if y is None:
            return distances.argmin(1)
        own = distances.unflatten(1, (-1, self.each))[torch.arange(len(y), device=y.device), y]
        return y * self.each + own.argmin(1)

    def alone(self, y: Tensor) -> Tensor:
        """The numbers (B,) that tell labels y (B,) without a cluster."""
        return len(self.centres) + y

    def shares_of(self, y: Tensor | None = None) -> Tensor:
        """Shares of the clusters beforehand, (1, K or L K) of equally likely labels, or (n, L K) of labels y (n,)."""
        each = self.shares.unflatten(0, (-1, self.each))
        if y is None:
            return (each / len(each)).flatten()[None]
        own = torch.zeros(len(y), *each.shape, dtype=each.dtype, device=each.device)
        own[torch.arange(len(y), device=y.device), y] = each[y]
        return own.flatten(1)

    def count(self, batches: Iterable[tuple[Tensor, Tensor | None]]) -> None:
        """Replace the shares by those among examples x (B, *shape) with labels y (B,)."""
        counts = torch.stack([torch.bincount(self.of(x, y), minlength=len(self.shares)) for x, y in batches]).sum(0)
        own = counts.unflatten(0, (-1, self.each)).to(self.shares)
        known = own.sum(1, keepdim=True) > 0  # a label without examples keeps its shares
        shares = torch.where(known, own / own.sum(1, keepdim=True), self.shares.unflatten(0, (-1, self.each)))
        self.shares.copy_(shares.flatten())

    def draw(self, noise: Noise, y: Tensor | None = None) -> Tensor:
        """Clusters (n,) int64 in their shares, those of labels y (n,) in theirs, each by its row of the noise."""
        u = uniform_draw(noise)
        return draw_by_shares(self.shares_of(y).expand(len(u), -1), u)


def k_means(x: Tensor, k: int) -> Tensor:
    """The k centres (k, D) of x (B, *shape)."""
    from sklearn.cluster import KMeans  # heavy: imported when needed

    fit = KMeans(k, n_init=4, random_state=0).fit(x.flatten(1).double().cpu().numpy())
    return torch.as_tensor(fit.cluster_centers_).to(x)
