r"""Scores of completions and restorations of examples whose truth is known, beside baselines that ask no model.

Values are compared where they were hidden, in coordinates whose distances mean something (`kind.coordinates`: grey
levels in [0, 1]); features are compared of the whole examples, which agree where they are known, so that their distance
is due to what was filled in. k draws of an example are scored

* each by itself, averaged: `rmse`, `feature_distance`,
* the nearest of them: `feature_distance_best`,
* their mean, the best answer there is in squared error: `psnr_mean`, `feature_distance_of_mean`,
* and their spread, the standard deviation at a value.

The distance of the draws and that of their mean are two numbers. A draw from the very posterior is √2 times as far from
the truth, in root mean square, as the mean of many draws, which is no example of the data. Of an answer that is one
alone, as a baseline's, both are the same.

`class_kept` is the share of draws that a classifier of the data takes for the true class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.features.base import Classifier, FeatureExtractor

BETTER = {"feature_distance": "min", "feature_distance_of_mean": "min", "feature_distance_best": "min", "rmse": "min",
          "psnr_mean": "max", "class_kept": "max", "spread": ""}  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """Examples whose hidden part is known.

    Attributes:
        spec: The data.
        x: (n, *shape) model values.
        hidden: Bool (n, *shape); everything for a restoration.
        features: A space in which examples are compared.
        y: (n,) labels, None where there are none.
    """

    spec: DataSpec
    x: Tensor
    hidden: Tensor
    features: FeatureExtractor
    y: Tensor | None = None

    def scores(self, source: str, draws: Tensor) -> list[dict[str, Any]]:
        """A row for each score of draws (n, k, *shape), model values that are as stored."""
        n, k = draws.shape[:2]
        found: dict[str, Tensor] = {}
        true = self._features(self.x)
        far = (self._features(draws.flatten(0, 1)).unflatten(0, (n, k)) - true[:, None]).norm(dim=2)
        found["feature_distance"] = far.mean(1)
        if draws.is_floating_point():  # tokens have no mean
            found["feature_distance_of_mean"] = (self._features(draws.mean(1)) - true).norm(dim=1)
        if k > 1:
            found["feature_distance_best"] = far.amin(1)
        error = self._coordinates(draws.flatten(0, 1)).unflatten(0, (n, k)) - self._coordinates(self.x)[:, None]
        where = self._where(error)
        count = where.flatten(1).sum(1).clamp(min=1)
        found["rmse"] = ((error.square() * where[:, None]).flatten(2).sum(2) / count[:, None]).sqrt().mean(1)
        mean = (error.mean(1).square() * where).flatten(1).sum(1) / count
        found["psnr_mean"] = -10 * torch.log10(mean.clamp(min=1e-10))
        if k > 1:
            variance = (error.var(1) * where).flatten(1).sum(1) / count
            found["spread"] = variance.sqrt()
        if self.y is not None and isinstance(self.features, Classifier):
            classes = torch.cat([self.features.logits(x, self.spec).argmax(1) for x in draws.flatten(0, 1).split(1000)])
            found["class_kept"] = (classes.unflatten(0, (n, k)) == self.y[:, None]).double().mean(1)
        return [row_of(source, name, values, k) for name, values in found.items()]

    def _features(self, x: Tensor) -> Tensor:
        return torch.cat([self.features(part, self.spec) for part in x.split(1000)])

    def _coordinates(self, x: Tensor) -> Tensor:
        return self.spec.kind.coordinates(self.spec.unscale(x))

    def _where(self, error: Tensor) -> Tensor:
        """The hidden values, beside coordinates (n, k, *shape, …)."""
        extra = error.ndim - 1 - self.hidden.ndim
        return self.hidden.reshape(*self.hidden.shape, *[1] * extra).expand(error[:, 0].shape)


def row_of(source: str, name: str, values: Tensor, draws: int) -> dict[str, Any]:
    """The mean of one value for each example, with its normal 95 % interval over the examples."""
    mean, n = float(values.double().mean()), len(values)
    half = 1.96 * float(values.double().std()) / math.sqrt(n) if n > 1 else math.nan
    return {"source": source, "score": name, "value": mean, "lo": mean - half, "hi": mean + half,
            "better": BETTER.get(name, ""), "n": n, "draws": draws}  # fmt: skip


def mean_fill(train: Split, spec: DataSpec, most: int = 10_000) -> Tensor:
    """(*shape) model values as stored: the mean of the training data, of tokens the commonest at each place."""
    part = train.between(0, min(len(train), most)).x
    if not spec.kind.model_dtype.is_floating_point:
        return spec.scale(part.mode(0).values[None])[0]
    return spec.centre(spec.scale(part).mean(0, keepdim=True))[0]


def nearest(train: Split, spec: DataSpec, x: Tensor, known: Tensor) -> Tensor:
    """(n, *shape) model values: for each example the training example that is nearest on what is known of it.

    Args:
        train: Where it is looked for.
        spec: The data.
        x: (n, *shape) model values.
        known: Bool (n, *shape).
    """
    wanted = spec.kind.coordinates(spec.unscale(x)).flatten(1).float()
    width = wanted.shape[1] // spec.dim
    where = known.flatten(1).repeat_interleave(width, 1).float()
    best, found = torch.full((len(x),), math.inf), torch.zeros(len(x), dtype=torch.int64)
    low = 0
    for chunk in train.chunks(4096):
        c = spec.kind.coordinates(chunk.x).flatten(1).float()
        far = (where * wanted.square()).sum(1)[:, None] - 2 * (where * wanted) @ c.T + where @ c.square().T
        value, row = far.min(1)
        closer = value < best
        best, found = torch.where(closer, value, best), torch.where(closer, row + low, found)
        low += len(c)
    return spec.scale(train.take(found).x)


def scores_of(truth: Truth, sources: Sequence[tuple[str, Tensor]]) -> list[dict[str, Any]]:
    """The scores of several sources of draws (n, k, *shape), one after the other."""
    return [row for name, draws in sources for row in truth.scores(name, draws)]
