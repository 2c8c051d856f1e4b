"""The pool of a model's draws that latents are inferred from, made once for all examples of a verb."""

from __future__ import annotations

import torch

from genkit.inverse.latent_langevin import LatentLangevin
from genkit.inverse.latent_pool import LatentPool
from genkit.inverse.posterior_sampler import PosteriorSampler
from genkit.models.base import GenerativeModel
from genkit.models.conditional import labels_for
from genkit.models.latent_variable import LatentVariable
from genkit.noise import SampleNoise
from genkit.progress import with_progress

VALUES = 2**26  # in a pool at most: 256 MB


@torch.no_grad()
def pool_for(
    sampler: PosteriorSampler, model: GenerativeModel, batch_size: int, device: torch.device
) -> LatentPool | None:
    """The draws that a sampler asks for, the same for every seed; None where it asks for none.

    Labels take turns. `batch_size` draws are decoded at once, under a bar.
    """
    if not isinstance(sampler, LatentLangevin) or not sampler.pool:
        return None
    assert isinstance(model, LatentVariable)
    count = min(sampler.pool, max(1, VALUES // model.spec.dim))
    y = labels_for(model, range(count))
    y = None if y is None else y.to(device)
    zs, xs, lows = [], [], range(0, count, batch_size)
    for low in with_progress(lows, "drawing a pool", len(lows)):
        rows = range(low, min(low + batch_size, count))
        labels = None if y is None else y[low : rows.stop]
        z = model.draw_latent(len(rows), y=labels, noise=SampleNoise(0, rows, device))
        zs.append(z)
        xs.append(model.from_latent(z, labels))
    return LatentPool(torch.cat(zs), torch.cat(xs), y)
