"""`genkit train metric=fid`: what is scored while training, built and checked before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from genkit.assembly.labels import dataset_name
from genkit.assembly.metric_config import features_of, metrics_named, metrics_of
from genkit.config.build import build
from genkit.config.settings import RunSettings
from genkit.data.dataset import Dataset
from genkit.errors import ConfigError
from genkit.evaluation.cache import Cache
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import ModelSource
from genkit.models.base import GenerativeModel
from genkit.training.callbacks.quick_scores import PREFIX, Quick
from genkit.training.monitor import Monitored
from genkit.training.options import QuickOptions, TrainerOptions


def quick_of(
    settings: RunSettings,
    dataset: Dataset,
    model: GenerativeModel,
    trainer: TrainerOptions,
    watched: Sequence[Monitored],
    trusted: bool = True,
) -> Quick | None:
    """The scores that metric= and quick= describe, None where no metric is named.

    Raises:
        ConfigError: a metric cannot apply, or the steps are no validations.
    """
    if not settings.metric:
        return None
    options = build(settings.quick, at="quick", expect=QuickOptions, trusted=trusted)
    if options.every_n_steps is not None and options.every_n_steps % trainer.val_every_n_steps:
        raise ConfigError(
            f"quick.every_n_steps={options.every_n_steps}: scores are taken at validations: choose a multiple of "
            f"trainer.val_every_n_steps={trainer.val_every_n_steps}"
        )
    reference = Reference.of(dataset, dataset_name(settings.data), "val")
    quick = Quick(
        Evaluator(
            metrics_of(settings.metric, settings.plugins, trusted),
            features_of(settings.features, reference.spec, reference.features, settings.plugins, trusted),
            reference,
            named=False,
            seed=settings.seed,
            cache=Cache(),
            look_for_copies=False,
        ),
        options,
    )
    _check_metrics(quick, model, {one.term for one in watched})
    return quick


def _check_metrics(quick: Quick, model: GenerativeModel, watched: Collection[str]) -> None:
    """A metric that was named, or that is monitored, must apply; so must one of a suite."""
    metrics = quick.evaluator.metrics
    obstacles = quick.evaluator.obstacles(ModelSource(model, quick.options.n, model.label))
    for name, reason in obstacles.items():
        if metrics_named() or f"{PREFIX}{name}" in watched or len(obstacles) == len(metrics):
            raise ConfigError(f"metric={name} cannot score {model.label}: {reason}")
