"""The pool of a model's draws that latents are inferred from, made once for all examples of a verb."""

from __future__ import annotations

import torch
from rich.console import Console
from rich.progress import Progress

from genkit.assembly.posterior_choice import num_classes_of
from genkit.inverse.latent_langevin import LatentLangevin
from genkit.inverse.latent_pool import LatentPool
from genkit.inverse.posterior_sampler import PosteriorSampler
from genkit.models.base import GenerativeModel
from genkit.models.latent_variable import LatentVariable
from genkit.noise import SampleNoise

VALUES = 2**26  # in a pool at most: 256 MB


def pool_for(
    sampler: PosteriorSampler, model: GenerativeModel, batch_size: int, device: torch.device, console: Console
) -> LatentPool | None:
    """The draws that a sampler asks for, the same for every seed; None where it asks for none.

    Labels take turns. `batch_size` draws are decoded at once, under a bar.
    """
    if not isinstance(sampler, LatentLangevin) or not sampler.pool:
        return None
    assert isinstance(model, LatentVariable)
    count, classes = min(sampler.pool, max(1, VALUES // model.spec.dim)), num_classes_of(model)
    y = None if classes is None else torch.arange(count, device=device) % classes
    zs, xs = [], []
    with torch.no_grad(), Progress(console=console, transient=True, disable=not console.is_interactive) as bar:
        for low in bar.track(range(0, count, batch_size), description="drawing a pool"):
            rows = range(low, min(low + batch_size, count))
            labels = None if y is None else y[low : rows.stop]
            z = model.draw_latent(len(rows), y=labels, noise=SampleNoise(0, rows, device))
            zs.append(z)
            xs.append(model.from_latent(z, labels))
    return LatentPool(torch.cat(zs), torch.cat(xs), y)
