"""Samples beside the training examples nearest to them: copying as one sees it.

Nearest is meant in the evaluator's features, since two drawings of one digit that are moved by a pixel are far apart in
pixels. Two sets of samples are shown: the first ones, which say what is usual, and those that are nearest to any
training example, which say what is worst.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.metrics.distances import nearest_squared
from genkit.models.density import model_values

NEAREST = 3  # training examples beside each sample
LOOKED_AT = 200  # samples among which the nearest ones are sought


@dataclass(frozen=True)
class Neighbourhoods:
    """Rows of model values (R, 1 + NEAREST, *shape): a sample, then the training examples nearest to it, nearest first.

    Attributes:
        first: Of the first samples.
        closest: Of those samples that are nearest to a training example, the nearest of all first.
        spec: The data.
    """

    first: Tensor
    closest: Tensor
    spec: DataSpec


def neighbourhoods(
    samples: tuple[Tensor, Tensor], train: tuple[Split, Tensor], spec: DataSpec, rows: int, k: int = NEAREST
) -> Neighbourhoods:
    """Of values (n, *shape) with features (n, F), and m training examples with features (m, F)."""
    (x, features), (known, known_features) = samples, train
    centre = known_features.mean(0)
    distance, which = nearest_squared(features - centre, known_features - centre, min(k, len(known)))
    order = distance[:, 0].argsort(stable=True)[:rows]

    def shown(chosen: Sequence[int] | Tensor) -> Tensor:
        index = torch.as_tensor(chosen)
        found = model_values(known.take(which[index].flatten()).x, spec)
        return torch.cat([x[index][:, None], found.unflatten(0, (len(index), -1))], 1)

    return Neighbourhoods(shown(range(min(rows, len(x)))), shown(order), spec)
