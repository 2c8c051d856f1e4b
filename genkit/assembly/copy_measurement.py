"""Samples of a checkpoint beside its training data and as good held-out data: copies, and how much they reach.

As many are taken of each where there are. Both sets are of one distribution, so a sample that owes nothing to memory
is as likely to be nearest to any example of them. Distances are those of the data: Euclidean, or places that differ.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.assembly.restore import Restored
from genkit.data.dataset import Dataset, SplitName
from genkit.data.kinds import ValueKind
from genkit.data.order import drawn
from genkit.diagnosis.memorisation import CLOSER, COUNT, EXPECTED, SHARE, TRAIN
from genkit.diagnosis.mode_collapse import ANCHORED, REACHED, REACHED_BY_REAL
from genkit.models.stream import stream_samples

MOST = 10_000  # examples on each side
ANCHORS = 100  # training examples, the nearest of which is a sample's bin
CHUNK = 250  # samples whose distances are held at once


def measured(found: Restored, dataset: Dataset, n: int, seed: int = 0) -> dict[str, float]:
    """The numbers that the rules on memorisation and mode collapse ask for.

    Args:
        found: The model.
        dataset: What it was trained on.
        n: Samples.
        seed: Of the samples.
    """
    stream = stream_samples(found.model, n, seed=seed, batch_size=CHUNK)
    samples = found.model.spec.unscale(torch.cat([x for x, _ in stream]).cpu())
    train = _some(dataset, ("train",), MOST)
    held_out = _some(dataset, ("val", "test"), len(train))
    kind = found.model.spec.kind
    to_train, to_held_out = _nearest(kind, samples, train), _nearest(kind, samples, held_out)
    usual = float(_nearest(kind, held_out[:n], train).median())
    ties = to_train == to_held_out
    share = (to_train < to_held_out).double() + 0.5 * ties.double()
    found_numbers = {
        COUNT: float(len(samples)),
        TRAIN: float(len(train)),
        SHARE: float(share.mean()),
        EXPECTED: len(train) / (len(train) + len(held_out)),
    }
    if len(train) > 1 and len(held_out) > 1:
        n, anchors = min(len(samples), len(held_out)), train[:ANCHORS]
        found_numbers |= {
            REACHED: _reached(kind, samples[:n], anchors),
            REACHED_BY_REAL: _reached(kind, held_out[:n], anchors),
            ANCHORED: float(len(anchors)),
        }
    if usual > 0:
        found_numbers[CLOSER] = float(to_train.median()) / usual
    return found_numbers


def _reached(kind: ValueKind, v: Tensor, anchors: Tensor) -> float:
    """The number of anchors that are nearest to one of the examples or more."""
    return float(len(torch.cat([kind.distances(some, anchors).argmin(1) for some in v.split(CHUNK)]).unique()))


def _some(dataset: Dataset, names: tuple[SplitName, ...], most: int) -> Tensor:
    """At most so many stored examples of some splits, of the last ones rather than of the first."""
    found: list[Tensor] = []
    for name in reversed(names):
        split, left = dataset.split(name), most - sum(map(len, found))
        if left > 0 and len(split):
            found.append(drawn(split, min(left, len(split)), seed=0).x)
    return torch.cat(found)


def _nearest(kind: ValueKind, v: Tensor, others: Tensor) -> Tensor:
    """Distances of stored examples to the nearest of others, (n,)."""
    return torch.cat([kind.distances(some, others).amin(1) for some in v.split(CHUNK)])
