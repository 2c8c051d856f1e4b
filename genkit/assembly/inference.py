"""Draws of what was measured, or of what is hidden, for the examples of a verb: batch by batch, on the model's
device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from genkit.assembly.examples import Subject
from genkit.assembly.pool_of_draws import pool_for
from genkit.assembly.posterior_choice import (
    check_posterior,
    infers_labels,
    labels_on,
    num_classes_of,
    posterior_for,
)
from genkit.config.settings import InferringSettings
from genkit.data.kinds import Quantised
from genkit.errors import NumericalError
from genkit.inverse.coarsened_posterior import coarsened_noise
from genkit.inverse.linear_task import LinearTask
from genkit.inverse.posterior_sampler import Observation, RepeatedNoise, systematic
from genkit.models.base import Completes, GenerativeModel
from genkit.models.infers_labels import InfersLabels
from genkit.models.latent_variable import LatentVariable
from genkit.noise import SampleNoise

REAL_NOISE = 0.01  # standard deviation of what is known of unbounded data, in model units
# of bounded data, as a share of the range, where few values are known: no model knows an example finer, and where it is
# held to a value exactly one draw among many is all that is left
BOUNDED_NOISE = 0.05
Making = Callable[[slice, SampleNoise, Tensor | None], Tensor]


def told_how(subject: Subject, settings: InferringSettings) -> Subject:
    """The subject that knows whether the posterior sampler of the settings finds out labels itself.

    Raises ConfigError where posterior= names one that the model cannot serve.
    """
    model, node, plugins = subject.found.model, settings.posterior, settings.plugins
    infers = infers_labels(model, node, plugins)
    check_posterior(node, model, plugins)
    return replace(subject, infers_labels=infers)


def noise_of_known(model: GenerativeModel, m: float) -> float:
    """Standard deviation that each of m known values is inferred with, in model units; it comes back as it was.

    The more are known, the larger it is, since no model is right about many at once (`coarsened_posterior.py`). A
    generator's own error is estimated beside its latent, so that for it the rounding of stored values is enough.
    """
    spec = model.spec
    if isinstance(model, LatentVariable) and isinstance(spec.kind, Quantised):
        return spec.kind.bin_width / 12**0.5
    own = REAL_NOISE if spec.value_range is None else BOUNDED_NOISE * (spec.value_range[1] - spec.value_range[0])
    return own if isinstance(model, LatentVariable) else coarsened_noise(own, m)


def completed(subject: Subject, known: Tensor, draws: int, console: Console) -> Tensor:
    """(n, draws, *shape) model values by the model's own ability; what is known is not looked at elsewhere."""
    model, x = subject.found.model, subject.x
    assert isinstance(model, Completes)

    def some(rows: slice, noise: SampleNoise, y: Tensor | None) -> Tensor:
        part, mask = x[rows].to(subject.device), known[rows].to(subject.device)
        each = (part.repeat_interleave(draws, 0), mask.repeat_interleave(draws, 0))
        labels = labels_by_known(model, part, mask, draws, noise) if y is None else y.repeat_interleave(draws)
        assert isinstance(model, Completes)
        return model.complete(*each, y=labels, noise=RepeatedNoise(noise, draws)).unflatten(0, (-1, draws))

    return in_batches(subject, some, draws, console)


def labels_by_known(model: GenerativeModel, x: Tensor, known: Tensor, draws: int, noise: SampleNoise) -> Tensor | None:
    """Labels (B · draws,) by what is known of each example, None for a model that takes none."""
    if num_classes_of(model) is None or not isinstance(model, InfersLabels):
        return None
    return systematic(model.label_log_probs(x, known).exp(), draws, noise).flatten()


def inferred(
    subject: Subject, task_of: Callable[[slice], LinearTask], v: Tensor, draws: int, posterior: Any, console: Console
) -> Tensor:
    """(n, draws, *shape) model values given measurements.

    Args:
        subject: Model and examples.
        task_of: How the examples of some rows were measured.
        v: (n, …) measurements.
        draws: Of each example.
        posterior: The node of `posterior=`, or None.
        console: Of the bar.
    """
    model, plugins = subject.found.model, subject.settings.plugins
    first = labels_on(subject.conditions, slice(0, 1), subject.device)
    usual = posterior_for(model, posterior, first, 1, plugins)
    pool = pool_for(usual, model, subject.settings.batch_size, subject.device)

    def some(rows: slice, noise: SampleNoise, y: Tensor | None) -> Tensor:
        sampler = posterior_for(model, posterior, y, len(noise.indices), plugins, pool)
        return sampler(Observation(task_of(rows), v[rows].to(subject.device)), draws, noise)

    return in_batches(subject, some, usual.rows(draws), console)


@torch.no_grad()
def in_batches(subject: Subject, some: Making, rows_each: int, console: Console) -> Tensor:
    """All examples in turn, so many at once that `batch_size` rows are not exceeded where one example allows it."""
    settings, n = subject.settings, len(subject.v)
    size = max(1, settings.batch_size // rows_each)
    parts = []
    with Progress(console=console, transient=True, disable=not console.is_interactive) as bar:
        task = bar.add_task("drawing", total=n)
        for rows in slices(n, size):
            indices = [int(subject.rows[i]) for i in range(rows.start, rows.stop)]
            noise = SampleNoise(settings.seed, indices, subject.device)
            x = subject.found.model.spec.clip(
                some(rows, noise, labels_on(subject.conditions, rows, subject.device))
            ).cpu()
            if not torch.isfinite(x).all():
                raise NumericalError("a draw is not finite: the model diverged, or the posterior sampler did")
            parts.append(x)
            bar.advance(task, rows.stop - rows.start)
    return torch.cat(parts)


def slices(n: int, size: int) -> Iterator[slice]:
    return (slice(low, min(low + size, n)) for low in range(0, n, size))
