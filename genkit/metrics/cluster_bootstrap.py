r"""Intervals of statistics of answers that come in clusters: a person's answers resemble each other.

The clusters (raters) are drawn with replacement, all answers of one at once, and the statistic is computed of each
draw. An interval over answers would be too narrow: with m answers a rater whose correlation is ρ, the variance is
1 + (m − 1)ρ times as large (the design effect; Kish 1965).

From few clusters R the percentiles of a bootstrap are too narrow by :math:`\sqrt{(R-1)/R}` and by the normal quantile
in place of Student's, so both are put back (the expanded percentile interval; Hesterberg 2015, 1411.5279): percentiles
are taken at the level α' with :math:`\Phi^{-1}(\alpha'/2) = \sqrt{R/(R-1)}\, t_{\alpha/2,\,R-1}`.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from genkit.noise import generator_of

LEVEL = 0.95


def cluster_weights(clusters: int, repeats: int, seed: int) -> Tensor:
    """Times that each of R clusters is drawn in R draws with replacement, (repeats, R) float64."""
    drawn = torch.randint(clusters, (repeats, clusters), generator=generator_of(seed, "clusters", clusters))
    weights = torch.zeros(repeats, clusters, dtype=torch.float64)
    return weights.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))


def expanded_interval(replicates: Tensor, clusters: int) -> tuple[float, float] | None:
    """The 95 % interval of a statistic from its bootstrap replicates (B,); NaN among them are left out.

    None for one cluster, of which nothing follows about others, and for fewer than two replicates.
    """
    replicates = replicates[replicates.isfinite()]
    if clusters < 2 or len(replicates) < 2:
        return None
    from scipy.special import ndtr, stdtrit  # here, since it takes a tenth of a second to import

    quantile = float(stdtrit(clusters - 1, (1 - LEVEL) / 2)) * sqrt(clusters / (clusters - 1))
    low = float(ndtr(quantile))
    lo, hi = torch.quantile(replicates, torch.tensor([low, 1 - low], dtype=replicates.dtype)).tolist()
    return lo, hi
