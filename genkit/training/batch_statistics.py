"""Running statistics of batch normalisations, for weights that are averaged.

While it trains, such a layer normalises by the mean and the variance of its batch, and follows both by running ones, by
which examples are normalised later. Those are of the weights as they were trained. An average of weights is another
network, whose inner values have another mean and another spread: with the statistics of the last weights it is worse
than these, not better. Its own are measured here on training data, as means over batches, with the losses themselves as
what is computed, so that a generator sees its latents and a discriminator both kinds of examples ("standing
statistics", Brock et al. 2018, 1809.11096; Izmailov et al. 2018, 1803.05407, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from genkit.batch_noise import by_example
from genkit.data.spec import Batch
from genkit.models.base import GenerativeModel
from genkit.noise import seed_global, seed_of


def batch_norms(model: GenerativeModel) -> list[_BatchNorm]:
    """Those that are trained and keep running statistics."""
    modules = dict.fromkeys(module for part in model.trainable().values() for module in part.modules())
    return [module for module in modules if isinstance(module, _BatchNorm) and module.running_mean is not None]


@torch.no_grad()
def measure_statistics(model: GenerativeModel, batches: Iterable[Batch], seed: int) -> None:
    """Replace the running statistics of a model in eval mode by the means over batches, on the model's device.

    Batches count alike, so one that is smaller than the first is left out.
    """
    with _counting(batch_norms(model)):
        first, size = 0, 0
        for number, batch in enumerate(batches):
            size = size or len(batch["x"])
            if len(batch["x"]) < size:
                break
            seed_global(seed_of(seed, "batch statistics", number), batch["x"].device)
            for phase in dict.fromkeys(model.phases):
                with by_example(seed_of(seed, "batch statistics"), first):
                    model.losses(batch, phase)
            first += size


@contextmanager
def _counting(norms: list[_BatchNorm]) -> Iterator[None]:
    """Let layers normalise by their batches and take the mean of all statistics from now on."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # of a cumulative mean
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
