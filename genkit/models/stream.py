"""Samples of any model, batch by batch, with bounded memory; sample i depends on (seed, i) alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genkit.errors import ConfigError, NumericalError
from genkit.models.base import Conditional, GenerativeModel
from genkit.noise import SampleNoise, generator_of

GOLDEN = (5**0.5 - 1) / 2  # its multiples fill [0, 1) most evenly of all, whatever their number


def labels_like(y: Tensor, indices: range, seed: int) -> Tensor:
    """Labels (n,) of the samples `indices` in the shares that they have among y (N,), N > 0.

    Label i is the quantile of y at the fractional part of u + i φ, u a function of the seed and φ the golden ratio
    (a Kronecker sequence): a function of (seed, i), and the shares of n labels are off by O(log n / n) alone.
    """
    u = torch.rand((), generator=generator_of(seed, "labels"), dtype=torch.float64)
    at = torch.tensor(indices, dtype=torch.float64) * GOLDEN + u
    return y.sort().values[((at - at.floor()) * len(y)).long().clamp(max=len(y) - 1)].to(torch.int64)


def labels_for(
    model: GenerativeModel, indices: range, y: int | None = None, *, like: Tensor | None = None, seed: int = 0
) -> Tensor | None:
    """Labels (n,) of the samples `indices`; None for an unconditional model.

    `y` for all of them if given, else in the shares of the labels `like` (N,), else the classes in turn.

    Raises ConfigError for a label that the model does not know.
    """
    num_classes = model.num_classes if isinstance(model, Conditional) else None
    if num_classes is None:
        if y is not None:
            raise ConfigError(f"y={y}: this model is unconditional (train it with model.conditional=true)")
        return None
    if y is not None and not 0 <= y < num_classes:
        raise ConfigError(f"y={y}: the model knows the labels 0 … {num_classes - 1}")
    if y is None and like is not None:
        if not 0 <= int(like.min()) <= int(like.max()) < num_classes:
            raise ConfigError(
                f"the data has labels in {int(like.min())} … {int(like.max())}, the model knows 0 … {num_classes - 1}: "
                "choose the data= that it was trained on"
            )
        return labels_like(like, indices, seed)
    return torch.tensor([i % num_classes if y is None else y for i in indices], dtype=torch.int64)


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
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yields (x, y) batches of the samples start … start+n−1: x (B, *shape) on the CPU in model units, y (B,) or None.

    The model is used as it is: eval mode and device are the caller's. What `y` and `like` say of the labels: see
    `labels_for`.

    Raises:
        NumericalError: a sample is not finite.
    """
    device = next(iter(model.parameters())).device
    for low in range(start, start + n, batch_size):
        indices = range(low, min(low + batch_size, start + n))
        labels = labels_for(model, indices, y, like=like, seed=seed)
        noise = SampleNoise(seed, indices, device)
        x = model.sample(len(indices), y=None if labels is None else labels.to(device), noise=noise).cpu()
        if not torch.isfinite(x).all():
            bad = int((~torch.isfinite(x)).flatten(1).any(1).nonzero()[0])
            raise NumericalError(f"sample {low + bad} is not finite: the model diverged; use an earlier checkpoint")
        yield x, labels
