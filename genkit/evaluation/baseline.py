r"""The rows that every table should have: what a trivial model reaches.

All are fitted to the training split, their values rounded and clipped to the data's levels. Their names say what an
example is made of: "pixel Gaussian", "column marginals".

* Gaussian: x ~ N(m, S), mean and covariance. What does not beat it has learned nothing that two moments do not
  say. Of data of more than DECOMPOSED values, S is that of at most GAUSSIAN_ROWS examples.
* marginals: each value, of a table each cell, drawn by itself from some training example. No structure at all.
* mixture: ten Gaussians on the first 32 principal components, by expectation maximisation.
* training copies: training examples. The best scores of all against held-out data, and worth nothing; authenticity and
  C_T tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor

from genkit.data.dataset import Dataset
from genkit.data.kinds import Categorical
from genkit.data.order import drawn
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.data.tables.kind import Tabular
from genkit.data.text.kind import Text
from genkit.errors import ConfigError
from genkit.metrics.moments import Moments
from genkit.models.latent_density import GaussianMixture
from genkit.noise import SampleNoise, generator_of, seed_of

DECOMPOSED, GAUSSIAN_ROWS = 1024, 10_000
AT_ONCE = 2**27  # values of which moments are taken at once; of more, chunk by chunk
JITTER = 1e-6  # of the mean variance, added to each: pixels that never change make the covariance singular
MIXTURE_ROWS, MIXTURE_AXES, MIXTURE_COMPONENTS = 10_000, 32, 10


def mean_and_factor(split: Split) -> tuple[Tensor, Tensor]:
    """Mean (D,) and a factor R (D, K) of the covariance R Rᵀ of the stored values of a split, float64.

    Up to DECOMPOSED values by an eigendecomposition, K = D. Beyond, where that takes a minute, of GAUSSIAN_ROWS
    examples at most, evenly spaced, since data may be sorted: the centred examples themselves are a factor where they
    are no more than D, K = N; else Cholesky's, K = D, with JITTER on the diagonal.
    """
    dim = prod(split.shape)
    if dim <= DECOMPOSED:
        mean, covariance = _mean_and_covariance(split, dim)
        variances, directions = torch.linalg.eigh(covariance)
        return mean, directions * variances.clamp(min=0).sqrt()
    every = torch.arange(0, len(split), -(-len(split) // GAUSSIAN_ROWS))
    rows = split.take(every).x.flatten(1).to(torch.float64)
    mean = rows.mean(0)
    if len(rows) <= dim:
        return mean, (rows - mean).T / (len(rows) - 1) ** 0.5
    covariance = torch.cov(rows.T)
    covariance.diagonal().add_(JITTER * covariance.diagonal().mean().clamp(min=1e-12))
    return mean, torch.linalg.cholesky(covariance)


def _mean_and_covariance(split: Split, dim: int) -> tuple[Tensor, Tensor]:
    """(D,) and (D, D) float64 of all examples."""
    if len(split) * dim <= AT_ONCE:
        rows = split.between(0, len(split)).x.flatten(1).to(torch.float64)
        return rows.mean(0), torch.cov(rows.T)
    found = Moments.over(chunk.x.flatten(1) for chunk in split.chunks(split.chunk_size))
    return found.mean, found.covariance


def pixel_gaussian(dataset: Dataset, n: int, seed: int) -> Tensor:
    """n seeded draws (n, *shape), stored values, of the Gaussian fitted to the training split."""
    mean, factor = mean_and_factor(dataset.split("train"))
    noise = torch.randn(n, factor.shape[1], generator=generator_of(seed, "pixel gaussian"), dtype=torch.float64)
    return dataset.spec.kind.nearest((mean + noise @ factor.T).unflatten(1, dataset.spec.shape))


def pixel_marginals(dataset: Dataset, n: int, seed: int) -> Tensor:
    """n seeded draws (n, *shape), stored values, each value from a training example of its own."""
    train, dim = dataset.split("train"), dataset.spec.dim
    groups = torch.tensor(dataset.spec.kind.groups(dim))
    pick = torch.randint(len(train), (n, len(groups)), generator=generator_of(seed, "pixel marginals"))
    pick = pick.repeat_interleave(groups, 1)
    out, low = torch.empty(n, dim, dtype=train.dtype), 0
    for chunk in train.chunks(train.chunk_size):
        rows = chunk.x.flatten(1)
        here = (pick >= low) & (pick < low + len(rows))
        out[here] = rows.gather(0, (pick - low).clamp(0, len(rows) - 1))[here]
        low += len(rows)
    return out.unflatten(1, dataset.spec.shape)


def pixel_mixture(dataset: Dataset, n: int, seed: int) -> Tensor:
    """n seeded draws (n, *shape), stored values, of the mixture fitted to at most MIXTURE_ROWS training examples."""
    train = dataset.split("train")
    some = train.between(0, len(train)) if len(train) <= MIXTURE_ROWS else drawn(train, MIXTURE_ROWS, seed)
    rows = some.x.flatten(1).to(torch.float64)
    mean = rows.mean(0)
    axes = torch.linalg.eigh(torch.cov(rows.T)).eigenvectors[:, -MIXTURE_AXES:]
    scores = (rows - mean) @ axes
    unit = scores.std(0).clamp(min=1e-12)
    mixture = GaussianMixture(latent_dim=axes.shape[1], components=MIXTURE_COMPONENTS)
    mixture.fit(scores / unit)
    found = mixture.sample(SampleNoise(seed_of(seed, "pixel mixture"), range(n))).to(torch.float64) * unit
    return dataset.spec.kind.nearest((mean + found @ axes.T).unflatten(1, dataset.spec.shape))


def training_copies(dataset: Dataset, n: int, seed: int) -> Tensor:
    """n seeded training examples (n, *shape), each once before any is there twice."""
    train = dataset.split("train")
    generator = generator_of(seed, "copies")
    orders = [torch.randperm(len(train), generator=generator) for _ in range(-(-n // len(train)))]
    return train.take(torch.cat(orders)[:n]).x


BASELINES: dict[str, tuple[str, Callable[[Dataset, int, int], Tensor]]] = {
    "gaussian": ("{part} Gaussian", pixel_gaussian),
    "marginals": ("{part} marginals", pixel_marginals),
    "mixture": ("{part} mixture", pixel_mixture),
    "copies": ("training copies", training_copies),
}
REAL = "real"  # real data itself, one repeat of the floor
OF_TOKENS = ("marginals", "copies")  # no average of tokens is a token, so no Gaussian is fitted to them
STANDARD = ("gaussian", REAL)
OF_TEXT = ("ngram", "zlib", "bz2", "lzma")  # what bits per byte are to beat, see `text_baseline.py`
OF_TABLES = ("gaussian", "marginals", REAL)  # good columns alone are easily had, so their scores stand beside


def baselines_of(spec: DataSpec, names: Sequence[str] | None) -> tuple[str, ...]:
    """The baselines `names`, by default the usual ones of such data; raises ConfigError for one that it cannot have."""
    tokens = isinstance(spec.kind, Categorical)
    usual: tuple[str, ...]
    defined: tuple[str, ...]
    if isinstance(spec.kind, Text):
        usual, defined = OF_TEXT, (*OF_TEXT, *OF_TOKENS, REAL)
    elif tokens:
        usual, defined = ("marginals", REAL), (*OF_TOKENS, REAL)
    else:
        usual = OF_TABLES if isinstance(spec.kind, Tabular) else STANDARD
        defined = (*BASELINES, REAL)
    if names is None:
        return usual
    if unknown := [name for name in names if name not in defined]:
        raise ConfigError(f"baselines=[{unknown[0]}]: there are {', '.join(defined)}")
    return tuple(names)


def baseline_name(name: str, spec: DataSpec) -> str:
    """The name of a baseline in a table of scores of such data."""
    return BASELINES[name][0].format(part=spec.kind.part)
