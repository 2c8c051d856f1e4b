"""Refuse a monitor that names no validation term, before anything is written.

The names come from one evaluation of the losses on a few validation examples; the loss of each phase is there by
contract and needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import lightning.pytorch as pl
import torch

from genkit.config.suggestions import nearest_name
from genkit.data.dataset import Dataset
from genkit.data.loader import batch_of
from genkit.errors import ConfigError
from genkit.training.callbacks.quick_scores import PREFIX, Quick
from genkit.training.module import GenerativeModule
from genkit.training.monitor import Monitored, Monitors
from genkit.training.options import CheckpointOptions

TRIED = 8  # examples


def monitored(checkpoint: CheckpointOptions, callbacks: Mapping[str, pl.Callback]) -> list[Monitored]:
    """All that a run monitors.

    Args:
        checkpoint: Which checkpoint is best.
        callbacks: The configuration's callbacks by name.
    """
    best = [] if checkpoint.monitor is None else [Monitored("checkpoint", checkpoint.monitor, checkpoint.mode)]
    named = ((f"callbacks.{name}", one) for name, one in callbacks.items())
    return best + [Monitored(at, one.monitor, one.mode) for at, one in named if isinstance(one, Monitors)]


def check_monitors(
    chosen: Sequence[Monitored], module: GenerativeModule, dataset: Dataset, quick: Quick | None
) -> None:
    """Raises ConfigError for a term that no validation of this run will have, or a score looked at the wrong way."""
    for one in chosen:
        if one.term.startswith(PREFIX):
            _check_score(one, quick)
    if any(one.term not in module.loss_terms and not one.term.startswith(PREFIX) for one in chosen):
        val = dataset.split("val")
        batch = batch_of(val.take(torch.arange(min(TRIED, len(val)))), dataset.spec)
        terms = module.validation_terms(batch)
        for one in chosen:
            if not one.term.startswith(PREFIX) and one.term not in terms:
                raise ConfigError(
                    f"{one.said}: this model's validation terms are {', '.join(terms)}{_none(one)}"
                    f"{_near(one.term, terms)}"
                )


def _near(term: str, terms: Iterable[str]) -> str:
    """A clause that names the term that may have been meant: for val/loss the loss of one of the phases."""
    dotted = {known.replace("/", "."): known for known in terms}
    close = nearest_name(term.replace("/", "."), dotted)
    return f"; did you mean {dotted[close]}?" if close else ""


def _none(one: Monitored) -> str:
    """Advice on doing without it."""
    return ", or null for no best" if one.at == "checkpoint" else ""


def _check_score(one: Monitored, quick: Quick | None) -> None:
    wanted = one.term.removeprefix(PREFIX)
    if quick is None or one.term not in quick.terms:
        scores = ", ".join(quick.terms) if quick is not None else "none"
        raise ConfigError(f"{one.said}: the scores while training are {scores}: add metric={wanted}")
    metric = quick.evaluator.metrics[wanted]
    if metric.best_at_floor:
        raise ConfigError(f"{one.said}: neither high nor low values of it are better: choose another score")
    mode = "max" if metric.higher_is_better else "min"
    if one.mode != mode:
        raise ConfigError(f"{one.at}.mode={one.mode}: of {one.term} the {mode}imum is best: set {mode}")
