"""Samples of any model, batch by batch, with bounded memory; sample i depends on (seed, i) alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genkit.errors import ConfigError, NumericalError
from genkit.models.base import Conditional, GenerativeModel
from genkit.noise import SampleNoise


def labels_for(model: GenerativeModel, indices: range, y: int | None = None) -> Tensor | None:
    """Labels (n,) of the samples `indices`: `y` if given, else cycling through the classes; None if unconditional.

    Raises ConfigError for a label that the model does not know.
    """
    num_classes = model.num_classes if isinstance(model, Conditional) else None
    if num_classes is None:
        if y is not None:
            raise ConfigError(f"y={y}: this model is unconditional (train it with model.conditional=true)")
        return None
    if y is not None and not 0 <= y < num_classes:
        raise ConfigError(f"y={y}: the model knows the labels 0 … {num_classes - 1}")
    return torch.tensor([i % num_classes if y is None else y for i in indices], dtype=torch.int64)


@torch.no_grad()
def stream_samples(
    model: GenerativeModel, n: int, *, seed: int, batch_size: int, y: int | None = None, start: int = 0
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yields (x, y) batches of the samples start … start+n−1: x (B, *shape) on the CPU in model units, y (B,) or None.

    The model is used as it is: eval mode and device are the caller's.

    Raises:
        NumericalError: a sample is not finite.
    """
    device = next(iter(model.parameters())).device
    for low in range(start, start + n, batch_size):
        indices = range(low, min(low + batch_size, start + n))
        labels = labels_for(model, indices, y)
        noise = SampleNoise(seed, indices, device)
        x = model.sample(len(indices), y=None if labels is None else labels.to(device), noise=noise).cpu()
        if not torch.isfinite(x).all():
            bad = int((~torch.isfinite(x)).flatten(1).any(1).nonzero()[0])
            raise NumericalError(f"sample {low + bad} is not finite: the model diverged; use an earlier checkpoint")
        yield x, labels
