"""95 % intervals of scores.

* `normal_interval`: value ± 1.96 standard errors, for means, jackknives and bootstraps. A bootstrap gives only its
  spread, not its percentiles: resampling adds the statistic's own small-sample bias a second time, so the percentiles
  of a Fréchet distance lie above the value itself.
* `wilson_interval`: a proportion; unlike value ± error it stays inside [0, 1] and is not empty at 0 and 1
  (Wilson 1927).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import torch
from torch import Tensor

from genkit.noise import generator_of

Z = 1.959963984540054  # the 97.5 % quantile of the standard normal


def normal_interval(value: float, error: float, least: float = -float("inf")) -> tuple[float, float]:
    """value ± Z · error, cut off below at `least`, the smallest value that the score can take."""
    return max(value - Z * error, least), value + Z * error


def bootstrap_interval(value: float, replicates: Tensor, least: float = -float("inf")) -> tuple[float, float] | None:
    """value ± Z standard deviations of the replicates (B,); None for fewer than two."""
    return normal_interval(value, float(replicates.std()), least) if len(replicates) > 1 else None


def mean_interval(values: Tensor) -> tuple[float, float] | None:
    """The interval of the mean of values (n,); None for fewer than two."""
    if len(values) < 2:
        return None
    return normal_interval(float(values.mean()), float(values.std()) / sqrt(len(values)))


def wilson_interval(hits: float, n: float) -> tuple[float, float]:
    """The interval of a proportion of which `hits` of `n` trials were counted."""
    share, z2 = hits / n, Z * Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = max(centre - half, 0.0), min(centre + half, 1.0)
    return 0.0 if hits <= 0 else low, 1.0 if hits >= n else high  # not a rounding error beside them


def resamples(n: int, repeats: int, seed: int) -> Iterator[Tensor]:
    """Bootstrap weights: `repeats` times how often each of n rows is drawn in n draws with replacement, (n,) int64."""
    generator = generator_of(seed, "bootstrap", n)
    for _ in range(repeats):
        yield torch.bincount(torch.randint(n, (n,), generator=generator), minlength=n)
