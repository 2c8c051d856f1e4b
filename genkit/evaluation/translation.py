"""Scores of translations: how near to the target domain, and how near still to the input, beside baselines.

* `target_distance`: the Fréchet distance of the translations' features to those of the target's held-out examples. It
  is biased upwards at few examples, so the same number of the target's training examples stands beside it: the floor.
* `target_class`: the share that a classifier of the data takes for the class that was asked for.
* `class_kept`: the share that it takes for the class of the input, where no class was asked for.
* `rmse`, `ssim`, `feature_distance`: of a translation and its input. What is near to the target and far from the input
  is a sample and no translation.
* `cycle_rmse`: there and back, of the input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.evaluation.completion import Truth, row_of
from genkit.features.base import Classifier, FeatureExtractor
from genkit.metrics.frechet import frechet_distance, frechet_distance_of_rows
from genkit.metrics.frechet_error import FrechetError
from genkit.metrics.moments import Moments
from genkit.metrics.ssim import UNIFORM, similarity

BETTER = {"target_distance": "min", "target_class": "max", "class_kept": "max", "feature_distance": "min",
          "rmse": "min", "ssim": "max", "cycle_rmse": "min"}  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True)
class TranslationScores:
    """Inputs, and the domain that their translations are scored against.

    Attributes:
        spec: The data of the target.
        x: (n, *shape) inputs, model values.
        features: The space in which examples are compared.
        target: (m, *shape) held-out examples of the target domain; None where they are not to be had.
        own: (n,) classes of the inputs, None where they are unknown or nothing is to be kept of them.
        wanted: (n,) classes that were asked for, None for none.
    """

    spec: DataSpec
    x: Tensor
    features: FeatureExtractor
    target: Tensor | None
    own: Tensor | None = None
    wanted: Tensor | None = None

    def of(self, source: str, out: Tensor) -> list[Row]:
        """A row for each score of translations (n, *shape), model values that are as stored."""
        rows = self.of_domain(source, out)
        f, g = (rows_of(self.features, values, self.spec) for values in (out, self.x))
        return [
            *rows,
            scored(source, "feature_distance", (f - g).norm(dim=1)),
            scored(source, "rmse", self.error(out)),
            *self._similarity(source, out),
        ]

    def of_domain(self, source: str, out: Tensor) -> list[Row]:
        """Those of the target domain alone, of any examples (n, *shape)."""
        return [*self.distance(source, out), *self._classes(source, out)]

    def distance(self, source: str, out: Tensor) -> list[Row]:
        """The distance of examples (n, *shape) to the target domain; none of fewer than two on a side."""
        if self.target is None or min(len(out), len(self.target)) < 2:
            return []
        real, fake = (rows_of(self.features, values, self.spec) for values in (self.target, out))
        value, (lo, hi) = _distance(real, fake)
        return [{"source": source, "score": "target_distance", "value": value, "lo": lo, "hi": hi, "better": "min",
                 "n": len(out), "draws": 1}]  # fmt: skip

    def error(self, out: Tensor) -> Tensor:
        """(n,): root mean square error beside the inputs, grey levels in [0, 1]."""
        a, b = (self.spec.kind.coordinates(self.spec.unscale(values)) for values in (out, self.x))
        return (a - b).double().square().flatten(1).mean(1).sqrt()

    def _similarity(self, source: str, out: Tensor) -> list[Row]:
        spec = self.spec
        if spec.modality != "image" or spec.value_range is None or min(spec.shape[1:]) < UNIFORM:
            return []
        return [scored(source, "ssim", similarity(out, self.x, spec))]

    def _classes(self, source: str, out: Tensor) -> list[Row]:
        if not isinstance(self.features, Classifier):
            return []
        known = (("class_kept", self.own), ("target_class", self.wanted))
        found = torch.cat([self.features.logits(x, self.spec).argmax(1) for x in out.split(1000)])
        return [scored(source, name, (found == y).double()) for name, y in known if y is not None]


def scored(source: str, name: str, values: Tensor) -> Row:
    """A score that is the mean of one value for each example."""
    return row_of(source, name, values, 1) | {"better": BETTER[name]}


def nearest_pairs(train: Split, spec: DataSpec, c: Tensor) -> Tensor:
    """(n, *shape) model values: what the training pair was made of whose condition is nearest to each of c.

    Args:
        train: Training pairs.
        spec: The data.
        c: (n, *condition) stored values.
    """
    wanted = spec.kind.coordinates(c).flatten(1).float()
    best, found, low = torch.full((len(c),), math.inf), torch.zeros(len(c), dtype=torch.int64), 0
    for chunk in train.chunks(4096):
        assert chunk.c is not None
        value, row = torch.cdist(wanted, spec.kind.coordinates(chunk.c).flatten(1).float()).min(1)
        found, best = torch.where(value < best, row + low, found), torch.minimum(value, best)
        low += len(chunk)
    return spec.scale(train.take(found).x)


def scored_pairs(spec: DataSpec, truth: Truth, source: str, out: Tensor) -> list[Row]:
    """Scores of images (n, *shape) made from conditions whose truth is known."""
    rows = [
        row | {"score": "psnr"} if row["score"] == "psnr_mean" else row for row in truth.scores(source, out[:, None])
    ]
    if spec.value_range is not None and min(spec.shape[1:]) >= UNIFORM:
        rows.append(scored(source, "ssim", similarity(out, truth.x, spec)))
    return rows


def rows_of(features: FeatureExtractor, x: Tensor, spec: DataSpec) -> Tensor:
    """The features (n, F) of examples (n, *shape)."""
    return torch.cat([features(part, spec) for part in x.split(1000)])


def _distance(real: Tensor, fake: Tensor) -> tuple[float, tuple[float, float]]:
    """The Fréchet distance of rows and its 95 % interval, not a number for no more rows than columns."""
    if max(len(real), len(fake)) < real.shape[1]:
        return float(frechet_distance_of_rows(real, fake)), (math.nan, math.nan)
    left, right = Moments.of(real), Moments.of(fake)
    value = float(frechet_distance(left.mean, left.covariance, right.mean, right.covariance))
    error = FrechetError.of(real, fake)
    return value, (math.nan, math.nan) if error is None else error.interval(value)
