"""Samples of any model, batch by batch, with bounded memory; sample i depends on (seed, i) alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from genkit.errors import NumericalError
from genkit.models.base import Completes, GenerativeModel
from genkit.models.conditional import labels_for, usual_labels
from genkit.noise import SampleNoise
from genkit.ranks import gathered, rank, world


class Beginnings(NamedTuple):
    """Beginnings of samples: of the first one the first of K, …, of the K-th the last, then again.

    Attributes:
        x: (K, *shape) model values.
        known: (K, *shape) bool, where they are given.
    """

    x: Tensor
    known: Tensor


@torch.no_grad()
def stream_samples(
    model: GenerativeModel,
    n: int,
    *,
    seed: int,
    batch_size: int,
    y: int | None = None,
    like: Tensor | None = None,
    start: int = 0,
    begin: Beginnings | None = None,
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yields (x, y) batches of the samples start … start+n−1: x (B, *shape) on the CPU in model units, y (B,) or None.

    The model is used as it is: eval mode and device are the caller's. What `y` and `like` say of the labels: see
    `labels_for`; without both, those of a table come in their shares of the training rows. With `begin` a model that
    `Completes` goes on from there.

    Raises:
        NumericalError: a sample is not finite.
    """
    device = next(iter(model.parameters())).device
    like = usual_labels(model.spec) if like is None else like
    for low in range(start, start + n, batch_size):
        indices = range(low, min(low + batch_size, start + n))
        labels = labels_for(model, indices, y, like=like, seed=seed)
        noise = SampleNoise(seed, indices, device)
        y_here = None if labels is None else labels.to(device)
        if begin is None:
            x = model.sample(len(indices), y=y_here, noise=noise).cpu()
        else:
            assert isinstance(model, Completes)
            x, known = (part[torch.tensor(indices) % len(begin.x)].to(device) for part in begin)
            x = model.complete(x, known, y=y_here, noise=noise).cpu()
        if not torch.isfinite(x).all():
            bad = int((~torch.isfinite(x)).flatten(1).any(1).nonzero()[0])
            raise NumericalError(f"sample {low + bad} is not finite: the model diverged; use an earlier checkpoint")
        yield x, labels


def shared_samples(
    model: GenerativeModel,
    n: int,
    *,
    seed: int,
    batch_size: int,
    y: int | None = None,
    begin: Beginnings | None = None,
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """As `stream_samples`, the batches drawn in turn by all processes and known to all.

    A batch is the same in every process, so that the samples do not depend on how many there are. Every process has to
    go on to the end.
    """
    lows = range(0, n, batch_size)
    for first in range(0, len(lows), world()):
        own: list[tuple[Tensor, Tensor | None]] = []
        for low in lows[first + rank() : first + rank() + 1]:
            size = min(batch_size, n - low)
            own = list(stream_samples(model, size, seed=seed, batch_size=size, y=y, start=low, begin=begin))
        for found in gathered(own):
            yield from found
